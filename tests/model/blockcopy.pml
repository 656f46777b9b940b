/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Model of the job protocol: guest writes in background and in mirroring mode, the copier, READY,
 * and one completion. Invariants I1 to I6 are assertions; README.md maps the steps to functions.
 *
 * A step between two semicolons outside of atomic is a moment in which everybody else may run. What
 * a step does at once is what kmod/ does under one lock, or by one atomic operation.
 *
 * Each guard can be removed by a macro of its own, NO_... and so on below; spin must then find a
 * counterexample.
 */

#if defined(NO_MARK_BEFORE_LATE_ACK) || defined(TIMEOUT_WITHOUT_REFERENCE)
#define SPLIT		/* more steps, see below */
#endif
#ifndef WRITERS
#define WRITERS 2	/* requests in flight at most, 2 or 3 */
#endif
#ifndef WRITES
#define WRITES 1	/* of each writer, one after the other */
#endif
#ifndef BLOCKS
#define BLOCKS 1	/* 1 or 2 */
#endif
#ifndef REGIONS
#define REGIONS 1	/* 1, or 2 of a block each */
#endif
#ifndef TARGET_ERRORS
#define TARGET_ERRORS 1	/* of destination writes and flushes */
#endif
#ifndef SOURCE_ERRORS
#define SOURCE_ERRORS 0
#endif
#ifndef DIES
#define DIES 0		/* 1: the first such error is the end of the destination */
#endif
#ifndef CACHE
#define CACHE 0		/* 1: the destination has a volatile write cache */
#endif
#ifndef HOLDS
#define HOLDS 1		/* attempts to complete */
#endif

/* Sets are bit masks: of blocks, or of regions. */
#if BLOCKS == 1
#define ALL_BLOCKS 1
#else
#define ALL_BLOCKS 3
#endif
#if REGIONS == 1
#define ALL_REGIONS 1
#define REGIONS_OF(blocks) ((blocks) != 0)
#define BLOCKS_OF(regions) ((regions) * ALL_BLOCKS)
#else
#define ALL_REGIONS 3
#define REGIONS_OF(blocks) (blocks)
#define BLOCKS_OF(regions) (regions)
#endif

#if WRITERS == 2
#define EACH(f, op) (f(0) op f(1))
#else
#define EACH(f, op) (f(0) op f(1) op f(2))
#endif

#define JUNK 15		/* what no write ever wrote */

/* Ranges in the tree (bc-range.c). */
#define RANGE_NONE	0
#define RANGE_SOURCE	1	/* to the source only */
#define RANGE_MIRRORED	2
#define RANGE_LATE	3	/* mirrored, and its time is up */

/* A request on one leg. */
#define LEG_NONE	0
#define LEG_SENT	1
#define LEG_LANDED	2	/* the data is there, the end is still to be told */
#define LEG_FAILED	3	/* of a flush */
#define LEG_ENDED	4

/* The devices. A block holds the number of the write that was there last. */
byte src[BLOCKS], dst[BLOCKS];
byte cached;			/* blocks of the destination that a loss of power would lose */
byte flushing;			/* those of them that the flush under way covers */
byte again;			/* written since it began */
byte target_errors = TARGET_ERRORS;
byte source_errors = SOURCE_ERRORS;
bit dead;			/* everything fails from now on */
#define FAILS (target_errors || dead)
#define WORKS (!dead)

/* The job. */
byte dirty = ALL_REGIONS;
byte claim;			/* regions that a copy waits for or copies */
byte copying;			/* regions whose copy began */
bit ready;
bit parking;
bit flipped;			/* the truth is the destination */
byte holds;
bit is_void;			/* an error came since the flush under way began */

/* Of each writer's request. */
byte blocks[WRITERS];
byte range[WRITERS];
bit flight[WRITERS];		/* holds a reference of job->writes */
bit target[WRITERS];		/* a destination request is outstanding */
bit replacing[WRITERS];		/* and takes the place of a copy */

/* For assertions only. */
byte begun;			/* writers: they are alike, so the first writes come in their order */
byte must;			/* blocks cached when dirty = 0 was seen for READY */
bit lost;			/* a flush failed, and its end was not handled yet */
hidden byte I1_acknowledged_is_on_both_legs_or_dirty;
hidden byte I3_one_copy_alone_in_its_region;
hidden byte I3_mirrored_only_to_clean_and_not_copied;
hidden byte I4_no_other_destination_write_beside_a_late_one;
hidden byte I5_flushed_since_dirty_was_zero;
hidden byte I5_all_of_it_is_there;
hidden byte I6_nothing_in_flight_at_the_flip;
hidden byte I6_legs_equal_and_flushed_at_the_flip;
hidden byte I6_nothing_old_lands_after_the_flip;
hidden byte nothing_left_behind;

/* The regions that these blocks are all of. */
#if BLOCKS == 2 && REGIONS == 1
#define WHOLE(blocks)	((blocks) == ALL_BLOCKS)
#else
#define WHOLE(blocks)	REGIONS_OF(blocks)
#endif

/* What the tree says of a set of blocks. */
#define IN_REGIONS(p)	(REGIONS_OF(blocks[p]) & where)
#define TRACKED_AT_ALL(p)	(range[p] != RANGE_NONE)
#define TRACKED(p)	(range[p] != RANGE_NONE && IN_REGIONS(p))
#define LATE(p)		(range[p] == RANGE_LATE && IN_REGIONS(p))
#define MIRRORING(p)	(range[p] != RANGE_SOURCE && target[p] && IN_REGIONS(p))
#define OVERLAPS(p)	(range[p] == RANGE_MIRRORED && (blocks[p] & mine))
#define LATE_REGIONS(p)	((range[p] == RANGE_LATE) * REGIONS_OF(blocks[p]))
#define REPLACING(p)	replacing[p]
#define TARGET(p)	target[p]
#define FLIGHT(p)	flight[p]
#define LATE_TARGET(p)	(target[p] && !flight[p] && IN_REGIONS(p))
#define FLIGHT_AT(p)	(flight[p] && (blocks[p] & (1 << (b))))

/* Guards. */
#ifdef NO_WRITE_WAITS_FOR_COPY
#define CLAIMED 0
#else
#define CLAIMED (claim & where)
#endif

/* I2: when a mirrored write of whole regions takes the place of their copies. */
#ifdef REPLACED_AFTER_THE_LEGS
#define REPLACED_AT_ONCE 0
#define REPLACED_AT_THE_END WHOLE(mine)
#else
#define REPLACED_AT_ONCE WHOLE(mine)
#define REPLACED_AT_THE_END 0
#endif

#ifdef NO_OVERLAP_ORDER
#define ORDERED 1
#else
#define ORDERED (!EACH(OVERLAPS, ||))
#endif

#ifdef NO_COPY_WAITS_FOR_WRITES
#define COPY_MAY_BEGIN 1
#else
#define COPY_MAY_BEGIN (!EACH(TRACKED, ||))
#endif

#ifdef MIRROR_TO_DIRTY
#define CLEAN 1
#else
#define CLEAN ((where & ~dirty) || REPLACED_AT_ONCE || REPLACED_AT_THE_END)
#endif

#ifdef MIRROR_BESIDE_LATE
#define LATE_HERE 0
#else
#define LATE_HERE (EACH(LATE, ||))
#endif

#define SKIPPED EACH(LATE_REGIONS, |)

#ifdef FLUSH_WITHOUT_REFERENCE
#define FLUSH_PASSES 1
#else
#define FLUSH_PASSES 0
#endif

#ifdef NO_PARKING
#define PARKED 0
#else
#define PARKED parking
#endif

#ifdef FLIP_WITH_WRITES
#define NO_WRITES 1
#else
#define NO_WRITES (!EACH(FLIGHT, ||))
#endif

#ifdef FLIP_WITH_LATE
#define NO_TARGET 1
#else
#define NO_TARGET (!EACH(TARGET, ||))
#endif

#ifdef FLIP_DIRTY
#define NOT_DIRTY 1
#else
#define NOT_DIRTY (dirty == 0)
#endif

#ifdef FLIP_WITH_COPY
#define NO_COPY 1
#else
#define NO_COPY (claim == 0)
#endif

#ifdef FLIP_IN_ANOTHER_HOLD
#define SAME_HOLD parking
#else
#define SAME_HOLD (parking && holds == hold)
#endif

#ifdef REPLACED_NOT_AWAITED
#define ALL_REPLACED 1
#else
#define ALL_REPLACED (!EACH(REPLACING, ||))
#endif

#ifdef READY_WITH_EARLY_FLUSH
#define READY_FLUSH_MAY_BEGIN 1
#else
#define READY_FLUSH_MAY_BEGIN (dirty == 0 && claim == 0 && ALL_REPLACED)
#endif

/* Whether a range that was late goes when it is answered. */
#if defined(LATE_FOR_EVER)
#define GOES (range[p] != RANGE_LATE)
#else
#define GOES 1
#endif

/* Which ends on the source are not marked: of plain writes, or of mirrored ones that failed. */
#if defined(NO_MARK)
#define NO_MARK_OF(d) (d == LEG_NONE)
#elif defined(NO_MARK_ON_SOURCE_ERROR)
#define NO_MARK_OF(d) (d != LEG_NONE)
#else
#define NO_MARK_OF(d) 0
#endif

/* When the guest may hear of it, the source having ended. */
#define BOTH_ENDED (d == LEG_NONE || d == LEG_ENDED)
#if defined(NO_MARK_BEFORE_LATE_ACK)
#define MAY_LEAVE (BOTH_ENDED || timed)
#elif defined(TIMEOUT_WITHOUT_REFERENCE)
#define MAY_LEAVE (BOTH_ENDED || told)
#else
#define MAY_LEAVE ((BOTH_ENDED && !timed) || told)
#endif

/* Nothing is as it was before the job. */
#if BLOCKS == 1
#define COPIED_ONCE (dst[0] != JUNK)
#else
#define COPIED_ONCE (dst[0] != JUNK && dst[1] != JUNK)
#endif

#if BLOCKS == 1
#define LEGS_EQUAL (src[0] == dst[0])
#else
#define LEGS_EQUAL (src[0] == dst[0] && src[1] == dst[1])
#endif

/* To see what else is found without the assertions that name the rule itself. */
#ifdef DATA_ONLY
#define OR_DATA_ONLY || 1
#else
#define OR_DATA_ONLY
#endif

/* I1, of one block. */
#define ON_BOTH(b) \
	((dirty & REGIONS_OF(1 << (b))) || (copying & REGIONS_OF(1 << (b))) || \
	 EACH(FLIGHT_AT, ||) || src[b] == dst[b])

inline check_I1()
{
#define b 0
	I1_acknowledged_is_on_both_legs_or_dirty = (flipped || lost || ON_BOTH(0));
#undef b
	assert(I1_acknowledged_is_on_both_legs_or_dirty);
#if BLOCKS == 2
#define b 1
	I1_acknowledged_is_on_both_legs_or_dirty = (flipped || lost || ON_BOTH(1));
#undef b
	assert(I1_acknowledged_is_on_both_legs_or_dirty);
#endif
}

#if BLOCKS == 1
#define put_data(set) \
	if \
	:: (set) -> dst[0] = data[0] \
	:: else \
	fi
#define put(leg, set, value) \
	if \
	:: (set) -> leg[0] = value \
	:: else \
	fi
#else
#define put_data(set) \
	if \
	:: (set) & 1 -> dst[0] = data[0] \
	:: else \
	fi; \
	if \
	:: (set) & 2 -> dst[1] = data[1] \
	:: else \
	fi
#define put(leg, set, value) \
	if \
	:: (set) & 1 -> leg[0] = value \
	:: else \
	fi; \
	if \
	:: (set) & 2 -> leg[1] = value \
	:: else \
	fi
#endif

/* Data from before the flip reaches a leg. */
inline land_on_source(set, value)
{
	I6_nothing_old_lands_after_the_flip = (!flipped || (set) == 0);
	assert(I6_nothing_old_lands_after_the_flip);
	put(src, (set), value)
}

inline land_on_destination(set, value)
{
	I6_nothing_old_lands_after_the_flip = !flipped;
	assert(I6_nothing_old_lands_after_the_flip);
	put(dst, set, value);
	cached = cached | ((set) * CACHE);
	again = again | ((set) * CACHE)
}

inline target_fails()
{
	if
	:: target_errors -> target_errors--
	:: else
	fi;
	dead = DIES
}

/* A flush failed: what was cached is gone, and no other flush will say so. */
inline lose()
{
	I6_nothing_old_lands_after_the_flip = !flipped;
	assert(I6_nothing_old_lands_after_the_flip);
	put(dst, cached, JUNK);
	cached = 0;
	flushing = 0;
	again = 0;
	lost = 1
}

inline lost_is_dirty()
{
#ifndef NO_MARK_ON_FLUSH_ERROR
	dirty = ALL_REGIONS;
#endif
#ifndef FLUSH_NOT_VOIDED
	is_void = 1;
#endif
	lost = 0
}

/* A range goes when both legs ended; a late one stays as it is until the source ended, too. */
inline range_goes()
{
	if
#ifndef SPLIT
	:: s == LEG_ENDED && BOTH_ENDED && GOES -> range[p] = RANGE_NONE
#endif
#ifdef LATE_UNTIL_ANSWERED
	:: s != LEG_ENDED && d == LEG_ENDED && range[p] == RANGE_LATE -> range[p] = RANGE_SOURCE
#endif
	:: else
	fi
}

inline destination_lands()
{
	land_on_destination(mine, number);
	check_I1()
}

inline destination_ends(failed)
{
	dirty = dirty & ~REPLACED_AT_THE_END;
#ifndef NO_MARK_ON_TARGET_ERROR
	if
	:: failed -> dirty = dirty | where
	:: else
	fi;
#endif
	d = LEG_ENDED;
	target[p] = 0;
	replacing[p] = 0;
#ifdef RANGE_GOES_WITH_DESTINATION
	range[p] = RANGE_NONE;
#else
	range_goes();
#endif
	check_I1()
}

/*
 * One request of a guest at a time. Its late write to the destination keeps it busy; what the guest
 * does after the acknowledgement is done by the others.
 */
proctype writer(byte p)
{
	byte n, number, where, mine, s, d;
	bit timed;		/* the time is up */
	bit told;		/* and its region was marked */
	bit marks;		/* at the end on the source */

	do
	:: n == WRITES -> break
	:: n < WRITES ->
		/* bc_io_map(): park, or take a reference and look where the truth is and at the mode. */
		atomic {
			(!PARKED || FLUSH_PASSES) && p <= begun;
			if
			:: p == begun -> begun++
			:: else
			fi;
			n++;
			number = 1 + p + WRITERS * (n - 1);
			if
			:: !PARKED -> mine = 1
#if BLOCKS == 2
			:: !PARKED -> mine = 2
			:: !PARKED -> mine = 3
#endif
#ifdef GUEST_FLUSHES
			/* An empty flush goes to both legs when mirroring. It has no range. */
			:: !flipped && (!PARKED || FLUSH_PASSES) -> mine = 0
#endif
			fi;
			where = REGIONS_OF(mine);
			blocks[p] = mine;
			flight[p] = !(FLUSH_PASSES && mine == 0);
			s = LEG_SENT;
			if
			:: flipped -> goto direct
			:: !flipped && mine == 0 -> d = LEG_SENT; target[p] = 1; goto legs
			/* The mode may change at any moment, so each write may find either. */
			:: !flipped && mine -> marks = 1; goto legs
			:: !flipped && mine -> skip
			fi;
#ifdef WAITING_WITHOUT_REFERENCE
			flight[p] = 0;
#endif
			skip
		}

		/* bc_mirror_map() */
		if
		:: atomic {
			!CLAIMED && (LATE_HERE || (dirty & where)) ->
			range[p] = RANGE_SOURCE;
			flight[p] = 1;
			marks = 1
		}
		/*
		 * With one clean region at least, or one that it covers, all of it may be mirrored.
		 * What it covers is clean from now on, other dirty regions stay so.
		 */
		:: atomic {
			!CLAIMED && !LATE_HERE && CLEAN && ORDERED ->
			I3_mirrored_only_to_clean_and_not_copied =
				((copying & where) == 0 &&
				 ((where & ~dirty) || WHOLE(mine))) OR_DATA_ONLY;
			assert(I3_mirrored_only_to_clean_and_not_copied);
			I4_no_other_destination_write_beside_a_late_one =
				(!EACH(LATE_TARGET, ||)) OR_DATA_ONLY;
			assert(I4_no_other_destination_write_beside_a_late_one);
			replacing[p] = ((dirty & REPLACED_AT_ONCE) != 0);
			dirty = dirty & ~REPLACED_AT_ONCE;
			range[p] = RANGE_MIRRORED;
			flight[p] = 1;
			d = LEG_SENT;
			target[p] = 1;
			check_I1()
		}
#ifndef NO_WAIT_TIMEOUT
		/* Its time is up while it waits. */
		:: atomic {
			CLAIMED || (!LATE_HERE && !ORDERED && (!(dirty & where) || WHOLE(mine))) ->
			flight[p] = 1;
			marks = 1
		}
#endif
		fi;

legs:		do
		/* The source. Nobody sees the end of a write that marks nothing, so that is no step. */
		:: d_step {
			s == LEG_SENT ->
			land_on_source(mine, number);
			if
			:: marks -> s = LEG_LANDED
			:: else -> s = LEG_ENDED; range_goes()
			fi;
			check_I1()
		}
		:: d_step {
			s == LEG_SENT && source_errors ->
			source_errors--;
			s = LEG_LANDED;
			marks = 1
		}
		:: d_step {
			s == LEG_SENT && source_errors ->
			source_errors--;
			land_on_source(mine, number);
			s = LEG_LANDED;
			marks = 1;
			check_I1()
		}
		:: d_step {
			s == LEG_LANDED ->
			/* bc_io_end(): mark before anybody hears of it */
			if
			:: NO_MARK_OF(d) -> skip
			:: else -> dirty = dirty | where
			fi;
			s = LEG_ENDED;
			range_goes();
			check_I1()
		}

		/*
		 * The destination. It has the data at the same step as it says so: only another
		 * destination write or a flush could tell, and there is none beside (I4), or it covers
		 * what ended before it began. With SPLIT these are two steps nevertheless.
		 */
#ifdef SPLIT
		:: d_step {
			d == LEG_SENT && WORKS ->
			destination_lands();
			d = LEG_LANDED
		}
		:: d_step { d == LEG_LANDED -> destination_ends(0) }
#else
		:: d_step {
			d == LEG_SENT && WORKS ->
			destination_lands();
			destination_ends(0)
		}
#endif
#ifdef NO_PRIVATE_COPY
		:: d_step {
			d == LEG_SENT && mine && WORKS ->
			land_on_destination(mine, JUNK);
			destination_ends(0)
		}
#endif
		:: d_step {
			d == LEG_SENT && FAILS && mine ->
			target_fails();
			destination_lands();
			destination_ends(1)
		}
		:: d_step {
			d == LEG_SENT && FAILS && mine ->
			target_fails();
			destination_ends(1)
		}
#ifdef GUEST_FLUSHES
		:: d_step {
			d == LEG_SENT && FAILS && mine == 0 ->
			target_fails();
			lose();
			d = LEG_FAILED
		}
		:: d_step {
			d == LEG_FAILED ->
			lost_is_dirty();
			destination_ends(0)
		}
#endif

		/* bc-wait.c: expire(), make_late() */
		:: d_step {
			d == LEG_SENT && !timed ->
			timed = 1;
			if
			:: mine -> range[p] = RANGE_LATE
			:: else
			fi;
#ifdef NO_LATE
			range[p] = RANGE_NONE;
#endif
#ifndef SPLIT
			dirty = dirty | where;
			replacing[p] = 0;
			told = 1
#endif
		}
#ifdef SPLIT
		:: d_step {
			timed && !told ->
			dirty = dirty | where;
			replacing[p] = 0;
			told = 1
		}
#endif

		/* The guest hears of it. */
		:: d_step {
			flight[p] && s == LEG_ENDED && MAY_LEAVE ->
			flight[p] = 0;
			check_I1()
		}
#ifdef SPLIT
		/* The range goes, before or after that. */
		:: d_step {
			range[p] != RANGE_NONE && s == LEG_ENDED && BOTH_ENDED ->
			range[p] = RANGE_NONE;
			check_I1()
		}
#endif
		:: !flight[p] && s == LEG_ENDED && BOTH_ENDED && timed == told && range[p] == RANGE_NONE ->
			break
#ifdef HANGS
		/* The destination never answers. */
		:: d == LEG_SENT && !flight[p] -> goto hung
#endif
		od;
		goto over;

		/* After the flip: to the destination alone, and nothing of ours can be in its way. */
direct:		atomic {
			put(dst, mine, number);
			flight[p] = 0
		}

over:		atomic {
			number = 0; where = 0; mine = 0; s = 0; d = 0; timed = 0; told = 0; marks = 0;
			blocks[p] = 0
		}
	od;
	goto done;

hung:
end_hung:
	false;
done:	skip
}

inline copy_lands()
{
	put_data(BLOCKS_OF(where));
	land_on_destination(0, 0);
	cached = cached | (BLOCKS_OF(where) * CACHE);
	again = again | (BLOCKS_OF(where) * CACHE)
}

inline copy_ends(failed)
{
#ifndef NO_MARK_ON_COPY_ERROR
	if
	:: failed -> dirty = dirty | where
	:: else
	fi;
#endif
	copying = 0;
	claim = 0;
	where = 0;
	data[0] = 0;
#if BLOCKS == 2
	data[1] = 0;
#endif
	check_I1()
}

/* The copier: one run of regions at a time. */
proctype copier()
{
	byte where;
	byte data[BLOCKS];

end_idle:
	do
	:: atomic {
		/* find_run(): dirty, not late. */
		!flipped && (dirty & ~SKIPPED) ->
		where = dirty & ~SKIPPED;
#if REGIONS == 2
		if
		:: where == 3 -> where = 1
		:: where == 3 -> where = 2
		:: skip
		fi;
#endif
		claim = where;
		/* Those in flight end; one that becomes late gives the region back. */
		if
		:: COPY_MAY_BEGIN
#ifndef NO_WITHDRAW
		:: !COPY_MAY_BEGIN && EACH(LATE, ||) ->
			claim = 0;
			where = 0;
			goto end_idle
#endif
		fi;
		copying = where;
		I3_one_copy_alone_in_its_region = (!EACH(MIRRORING, ||)) OR_DATA_ONLY;
		assert(I3_one_copy_alone_in_its_region);
#ifndef CLEAR_AFTER_READ
		dirty = dirty & ~where
#endif
	}
		d_step {
			data[0] = src[0];
#if BLOCKS == 2
			data[1] = src[1];
#endif
			I4_no_other_destination_write_beside_a_late_one = (!EACH(LATE_TARGET, ||)) OR_DATA_ONLY;
			assert(I4_no_other_destination_write_beside_a_late_one)
		}
#ifdef CLEAR_AFTER_READ
		dirty = dirty & ~where;
#endif
		if
		:: d_step {
			WORKS ->
			copy_lands();
			copy_ends(0)
		}
		:: d_step {
			FAILS ->
			target_fails();
			copy_lands();
			copy_ends(1)
		}
		:: d_step {
			FAILS ->
			target_fails();
			copy_ends(1)
		}
#ifdef HANGS
		:: goto end_hung
#endif
		fi
	od;
end_hung:
	false
}

/* After a flush what was cached when it began is safe, except what was then written again. */
inline flushed()
{
	must = must & ~flushing;
	cached = (cached & ~flushing) | again;
	flushing = 0;
	again = 0
}

inline ready_unless_void()
{
#ifdef READY_WITH_EARLY_FLUSH
	must = cached;
	is_void = is_void || dirty || claim;
#endif
	if
	:: !is_void ->
		I5_flushed_since_dirty_was_zero = (lost || must == 0);
		assert(I5_flushed_since_dirty_was_zero);
		I5_all_of_it_is_there = (lost || COPIED_ONCE) OR_DATA_ONLY;
		assert(I5_all_of_it_is_there);
		ready = 1
	:: else
	fi;
	must = 0;
	is_void = 0
}

/* bc_complete_flushed() */
inline flip_if_held()
{
	if
	:: SAME_HOLD ->
		I6_nothing_in_flight_at_the_flip =
			(parking && !EACH(FLIGHT, ||) && !EACH(TARGET, ||) && claim == 0);
		assert(I6_nothing_in_flight_at_the_flip);
		I6_legs_equal_and_flushed_at_the_flip = (dirty == 0 && cached == 0 && LEGS_EQUAL);
		assert(I6_legs_equal_and_flushed_at_the_flip);
		flipped = 1;
		parking = 0
	:: else
	fi;
	hold = 0;
	is_void = 0
}

/* The flushes of the destination that the copier sends, for READY and for the flip. */
proctype flusher()
{
	byte hold;

end_idle:
	do
	:: d_step {
		!ready && READY_FLUSH_MAY_BEGIN ->
		is_void = 0;
		flushing = cached;
		again = 0;
		must = cached
	}
		if
#ifdef READY_WITHOUT_FLUSH
		:: d_step { ready_unless_void() }
#else
		:: d_step { WORKS -> flushed(); ready_unless_void() }
		:: d_step { FAILS -> target_fails(); lose() }
			d_step { lost_is_dirty(); must = 0; is_void = 0; check_I1() }
#endif
#ifdef HANGS
		:: goto end_hung
#endif
		fi

	:: d_step {
		/* bc_complete_clean() */
		parking && NO_WRITES && NO_TARGET && NOT_DIRTY && NO_COPY ->
		hold = holds;
		flushing = cached;
		again = 0
	}
		if
#ifdef FLIP_WITHOUT_FLUSH
		:: d_step { flip_if_held() }
#else
		:: d_step { WORKS -> flushed(); flip_if_held() }
		:: d_step { FAILS -> target_fails(); lose() }
			d_step {
				lost_is_dirty();
				if
				:: parking && holds == hold -> parking = 0
				:: else
				fi;
				hold = 0;
				is_void = 0;
				check_I1()
			}
#endif
#ifdef HANGS
		:: goto end_hung
#endif
		fi
	od;
end_hung:
	false
}

/* The message "complete", and its timer. */
proctype completion()
{
end_wait:
	do
	:: holds == HOLDS -> break
	:: atomic { holds < HOLDS && ready && !flipped -> holds++; parking = 1 }
#ifndef NO_HOLD_TIMER
		if
		:: atomic { parking -> parking = 0 }
		:: !parking
		fi
#else
		!parking
#endif
	:: flipped -> break
	od
}

init {
	atomic {
		put(dst, ALL_BLOCKS, JUNK);
		run copier();
		run flusher();
		run completion();
		run writer(0);
		run writer(1);
#if WRITERS == 3
		run writer(2);
#endif
	}
#if !defined(HANGS)
end_wait:
	/* Nobody can do anything any more: all writes are over, and nothing is left behind. */
	timeout;
	nothing_left_behind = (dirty == 0 && claim == 0 && !EACH(TRACKED_AT_ALL, ||) && ready && !parking);
	assert(nothing_left_behind)
#endif
}
