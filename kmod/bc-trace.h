/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: /sys/kernel/tracing/events/blockcopy. Devices are those of the guest, sectors its
 * own.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM blockcopy

#if !defined(BC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BC_TRACE_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/* A job went from one state to another; the words of status. */
TRACE_EVENT(blockcopy_state,
	TP_PROTO(dev_t dev, const char *from, const char *to, const char *error),
	TP_ARGS(dev, from, to, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__array(char, from, 16)
		__array(char, to, 16)
		__array(char, error, 32)
	),
	TP_fast_assign(
		__entry->dev = dev;
		strscpy(__entry->from, from, sizeof(__entry->from));
		strscpy(__entry->to, to, sizeof(__entry->to));
		strscpy(__entry->error, error, sizeof(__entry->error));
	),
	TP_printk("%d,%d %s -> %s error=%s", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->from, __entry->to, __entry->error)
);

DECLARE_EVENT_CLASS(blockcopy_range,
	TP_PROTO(dev_t dev, sector_t start, sector_t sectors, int result),
	TP_ARGS(dev, start, sectors, result),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, start)
		__field(sector_t, sectors)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->start = start;
		__entry->sectors = sectors;
		__entry->result = result;
	),
	TP_printk("%d,%d %llu + %llu result=%d", MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->start, (unsigned long long)__entry->sectors,
		  __entry->result)
);

/* A copy begins: its regions were cleared, its source is about to be read. The result is 0. */
DEFINE_EVENT(blockcopy_range, blockcopy_copy_begin,
	TP_PROTO(dev_t dev, sector_t start, sector_t sectors, int result),
	TP_ARGS(dev, start, sectors, result)
);

/* A copy ended; the result is 0 or -errno. */
DEFINE_EVENT(blockcopy_range, blockcopy_copy_end,
	TP_PROTO(dev_t dev, sector_t start, sector_t sectors, int result),
	TP_ARGS(dev, start, sectors, result)
);

/* A guest write completed and was tracked; the result is how many regions it made dirty. */
DEFINE_EVENT(blockcopy_range, blockcopy_write,
	TP_PROTO(dev_t dev, sector_t start, sector_t sectors, int result),
	TP_ARGS(dev, start, sectors, result)
);

/* Guest writes are held, or released again; the time is since they were held. */
TRACE_EVENT(blockcopy_hold,
	TP_PROTO(dev_t dev, bool held, unsigned int parked, u64 us),
	TP_ARGS(dev, held, parked, us),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(bool, held)
		__field(unsigned int, parked)
		__field(u64, us)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->held = held;
		__entry->parked = parked;
		__entry->us = us;
	),
	TP_printk("%d,%d %s parked=%u us=%llu", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->held ? "hold" : "release", __entry->parked, __entry->us)
);

#endif /* BC_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE bc-trace
#include <trace/define_trace.h>
