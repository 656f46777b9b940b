# SPDX-License-Identifier: LGPL-2.1-or-later
"""libblockcopy, with the calls that users of python-libvirt know.

A disk is the name of a device-mapper device. What libvirt calls a domain is here the set of them:

    import blockcopy

    disks = blockcopy.Disks()
    disks.blockCopy("vm1", "<disk type='block'><source dev='/dev/sdc'/></disk>",
                    flags=blockcopy.VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES)
    disks.waitReady("vm1", timeout=600)
    disks.blockJobAbort("vm1", blockcopy.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)

There is no logic here: each call is one of the library's, see blockcopy.h.
"""
import ctypes
import errno
import os
from xml.sax.saxutils import quoteattr

VIR_DOMAIN_BLOCK_COPY_SHALLOW = 1
VIR_DOMAIN_BLOCK_COPY_REUSE_EXT = 2
VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB = 4
VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES = 8

VIR_DOMAIN_BLOCK_REBASE_SHALLOW = 1
VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT = 2
VIR_DOMAIN_BLOCK_REBASE_COPY_RAW = 4
VIR_DOMAIN_BLOCK_REBASE_COPY = 8
VIR_DOMAIN_BLOCK_REBASE_RELATIVE = 16
VIR_DOMAIN_BLOCK_REBASE_COPY_DEV = 32
VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES = 64

VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC = 1
VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT = 2
VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES = 1
VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES = 1

VIR_DOMAIN_BLOCK_JOB_TYPE_COPY = 2
VIR_DOMAIN_BLOCK_JOB_COMPLETED = 0
VIR_DOMAIN_BLOCK_JOB_FAILED = 1
VIR_DOMAIN_BLOCK_JOB_CANCELED = 2
VIR_DOMAIN_BLOCK_JOB_READY = 3

VIR_DOMAIN_BLOCK_COPY_BANDWIDTH = "bandwidth"
VIR_DOMAIN_BLOCK_COPY_GRANULARITY = "granularity"
VIR_DOMAIN_BLOCK_COPY_BUF_SIZE = "buf-size"

STATES = ("copying", "ready", "completing", "pivoted", "finished", "failed")

_CHANGE_ENDED = 3
_MIB = 1 << 20

_lib = ctypes.CDLL(os.environ.get("LIBBLOCKCOPY", "libblockcopy.so.0"), use_errno=True)


def _declare():
    pointer, text, u64 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64
    out = ctypes.POINTER
    calls = {
        "new": (ctypes.c_int, out(pointer)),
        "free": (None, pointer),
        "error": (ctypes.c_int, pointer),
        "error_message": (text, pointer),
        "options_new": (ctypes.c_int, out(pointer)),
        "options_free": (None, pointer),
        "options_set_bandwidth": (ctypes.c_int, pointer, u64),
        "options_set_granularity": (ctypes.c_int, pointer, u64),
        "options_set_buf_size": (ctypes.c_int, pointer, u64),
        "options_set_copy_mode": (ctypes.c_int, pointer, text),
        "options_set_reuse_external": (None, pointer, ctypes.c_bool),
        "options_set_force": (None, pointer, ctypes.c_bool),
        "destination_from_xml": (ctypes.c_int, pointer, text, ctypes.c_size_t, pointer, out(pointer)),
        "start": (ctypes.c_int, pointer, text, text, pointer),
        "wait": (ctypes.c_int, pointer, text, ctypes.c_int64, ctypes.c_int, pointer, pointer),
        "pivot": (ctypes.c_int, pointer, text, ctypes.c_uint, out(u64)),
        "finish": (ctypes.c_int, pointer, text, ctypes.c_uint, out(u64)),
        "abort": (ctypes.c_int, pointer, text, ctypes.c_bool),
        "set_bandwidth": (ctypes.c_int, pointer, text, u64),
        "info_get": (ctypes.c_int, pointer, text, out(pointer)),
        "info_free": (None, pointer),
        "info_name": (text, pointer),
        "info_state": (ctypes.c_int, pointer),
        "info_ready": (ctypes.c_bool, pointer),
        "info_offset": (u64, pointer),
        "info_len": (u64, pointer),
        "info_bandwidth": (u64, pointer),
        "info_dirty_bytes": (u64, pointer),
        "info_destination": (text, pointer),
        "monitor_new": (ctypes.c_int, pointer, text, out(pointer)),
        "monitor_free": (None, pointer),
        "monitor_next": (ctypes.c_int, pointer, ctypes.c_int64, out(ctypes.c_int), out(pointer)),
    }
    for name, (result, *arguments) in calls.items():
        call = getattr(_lib, "blockcopy_" + name)
        call.restype, call.argtypes = result, arguments


_declare()
_libc_free = ctypes.CDLL(None).free
_libc_free.restype, _libc_free.argtypes = None, [ctypes.c_void_p]


class BlockcopyError(Exception):
    """A call failed. `kind` is one of blockcopy.h's (2 usage, 3 no such job, 4 wrong state, 5 timed
    out, 6 refused), `errno` is positive, as elsewhere in Python."""

    def __init__(self, message, kind, number):
        super().__init__(message)
        self.kind, self.errno = kind, number


class Disks:
    """A handle of the library: one thread at a time."""

    def __init__(self):
        self._handle = ctypes.c_void_p()
        if _lib.blockcopy_new(ctypes.byref(self._handle)) < 0:
            raise MemoryError

    def close(self):
        _lib.blockcopy_free(self._handle)
        self._handle = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()

    def _check(self, result):
        if result < 0:
            raise BlockcopyError(_lib.blockcopy_error_message(self._handle).decode(),
                                 _lib.blockcopy_error(self._handle), -result)

    def blockCopy(self, disk, destxml, params=None, flags=0):
        """Begin to copy; returns when the copy runs. `params`: bandwidth in bytes/s, granularity,
        buf-size. A destination that is a block device and carries something is refused, as by the
        command without --force: "force": True in `params` overwrites it."""
        params = dict(params or {})
        options, destination = ctypes.c_void_p(), ctypes.c_void_p()
        if _lib.blockcopy_options_new(ctypes.byref(options)) < 0:
            raise MemoryError
        try:
            _lib.blockcopy_options_set_force(options, params.pop("force", False))
            for name, value in params.items():
                call = {VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: _lib.blockcopy_options_set_bandwidth,
                        VIR_DOMAIN_BLOCK_COPY_GRANULARITY: _lib.blockcopy_options_set_granularity,
                        VIR_DOMAIN_BLOCK_COPY_BUF_SIZE: _lib.blockcopy_options_set_buf_size}.get(name)
                if not call or value < 0 or (value and call(options, value) < 0):
                    raise BlockcopyError(f"{name}: found {value}, which is out of range or not known",
                                         2, errno.EINVAL)
            # The devices are compared, and what differs is written.
            _lib.blockcopy_options_set_shallow(options, bool(flags & VIR_DOMAIN_BLOCK_COPY_SHALLOW))
            if flags & VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES:
                _lib.blockcopy_options_set_copy_mode(options, b"write-blocking")
            _lib.blockcopy_options_set_reuse_external(
                options, bool(flags & VIR_DOMAIN_BLOCK_COPY_REUSE_EXT))
            text = destxml.encode()
            self._check(_lib.blockcopy_destination_from_xml(self._handle, text, len(text), options,
                                                            ctypes.byref(destination)))
            self._check(_lib.blockcopy_start(self._handle, disk.encode(),
                                             ctypes.cast(destination, ctypes.c_char_p), options))
        finally:
            _libc_free(destination)
            _lib.blockcopy_options_free(options)

    def blockRebase(self, disk, base, bandwidth=0, flags=0):
        """The older call for the same: `base` is a file, by COPY_DEV a block device; `bandwidth` is in MiB/s,
        or bytes/s by flag. COPY must be among the flags: there is no chain of images to pull from."""
        if not flags & VIR_DOMAIN_BLOCK_REBASE_COPY or flags & VIR_DOMAIN_BLOCK_REBASE_RELATIVE:
            raise BlockcopyError(f"blockRebase: found flags {flags}, needed COPY, and not RELATIVE", 2, errno.EINVAL)
        if not flags & VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES:
            bandwidth *= _MIB
        kind, attribute = ("block", "dev") if flags & VIR_DOMAIN_BLOCK_REBASE_COPY_DEV else ("file", "file")
        # These two are the same numbers, as in libvirt.
        kept = flags & (VIR_DOMAIN_BLOCK_REBASE_SHALLOW | VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT)
        self.blockCopy(disk, f"<disk type='{kind}'><source {attribute}={quoteattr(base)}/></disk>",
                       {VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: bandwidth}, kept)

    def _info(self, disk):
        info = ctypes.c_void_p()
        self._check(_lib.blockcopy_info_get(self._handle, disk.encode(), ctypes.byref(info)))
        try:
            return _to_dict(info)
        finally:
            _lib.blockcopy_info_free(info)

    def blockJobInfo(self, disk, flags=0):
        """As libvirt's: type, bandwidth (MiB/s, or bytes/s by flag), cur, end; and state and ready,
        which tell what cur == end does not. Without a job an empty dictionary."""
        try:
            info = self._info(disk)
        except BlockcopyError as error:
            if error.kind == 3:
                return {}
            raise
        if not flags & VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES:
            info["bandwidth"] = -(-info["bandwidth"] // _MIB)
        return info

    def blockJobAbort(self, disk, flags=0, max_blackout_ms=500):
        """Pivot by flag; else leave a copy of this instant if the job is ready, as libvirt does, and
        none if it is not."""
        name, blackout = disk.encode(), ctypes.c_uint64()
        if flags & VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT:
            self._check(_lib.blockcopy_pivot(self._handle, name, max_blackout_ms,
                                             ctypes.byref(blackout)))
        elif self._info(disk)["ready"]:
            self._check(_lib.blockcopy_finish(self._handle, name, max_blackout_ms,
                                              ctypes.byref(blackout)))
        else:
            self._check(_lib.blockcopy_abort(self._handle, name, False))

    def blockJobSetSpeed(self, disk, bandwidth, flags=0):
        """MiB/s, or bytes/s by flag; 0 is no limit."""
        if not flags & VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES:
            bandwidth *= _MIB
        self._check(_lib.blockcopy_set_bandwidth(self._handle, disk.encode(), bandwidth))

    def waitReady(self, disk, timeout=None):
        """By the event, and never by cur == end. `timeout` in seconds."""
        ms = -1 if timeout is None else int(timeout * 1000)
        self._check(_lib.blockcopy_wait(self._handle, disk.encode(), ms, -1, None, None))

    def blockJobEvents(self, disk=None, timeout=None):
        """Yields (disk, destination, type, status) as libvirt's VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2 gives
        them to a callback: when a job is ready, and when it has ended. A copy of one instant that was
        taken faster than this looks is told as canceled. With a disk it ends with its job; `timeout` in
        seconds is for each event."""
        monitor = ctypes.c_void_p()
        ms = -1 if timeout is None else int(timeout * 1000)
        last = {}
        self._check(_lib.blockcopy_monitor_new(self._handle, disk.encode() if disk else None,
                                               ctypes.byref(monitor)))
        try:
            while True:
                change, info = ctypes.c_int(), ctypes.c_void_p()
                result = _lib.blockcopy_monitor_next(monitor, ms, ctypes.byref(change),
                                                     ctypes.byref(info))
                if result == -errno.ENODATA:
                    return
                self._check(result)
                try:
                    seen = _to_dict(info)
                finally:
                    _lib.blockcopy_info_free(info)
                status = _status(seen, change.value == _CHANGE_ENDED)
                if status is not None and last.get(seen["name"]) != status:
                    yield seen["name"], seen["destination"], VIR_DOMAIN_BLOCK_JOB_TYPE_COPY, status
                last[seen["name"]] = status
        finally:
            _lib.blockcopy_monitor_free(monitor)

    def blockJobEventRegister(self, callback, disk=None, opaque=None):
        """Call `callback(disks, disk, destination, type, status, opaque)` for each event, until the job
        on `disk` has ended; for libvirt's users, whose loop this is."""
        for event in self.blockJobEvents(disk):
            callback(self, *event, opaque)


def _to_dict(info):
    return {
        "type": VIR_DOMAIN_BLOCK_JOB_TYPE_COPY,
        "name": _lib.blockcopy_info_name(info).decode(),
        "bandwidth": _lib.blockcopy_info_bandwidth(info),
        "cur": _lib.blockcopy_info_offset(info),
        "end": _lib.blockcopy_info_len(info),
        "dirty": _lib.blockcopy_info_dirty_bytes(info),
        "state": STATES[_lib.blockcopy_info_state(info)],
        "ready": _lib.blockcopy_info_ready(info),
        "destination": _lib.blockcopy_info_destination(info).decode(),
    }


def _status(seen, ended):
    if seen["state"] == "failed":
        return VIR_DOMAIN_BLOCK_JOB_FAILED
    if seen["state"] in ("completing", "pivoted", "finished"):
        return VIR_DOMAIN_BLOCK_JOB_COMPLETED if ended else None
    if ended:
        return VIR_DOMAIN_BLOCK_JOB_CANCELED
    return VIR_DOMAIN_BLOCK_JOB_READY if seen["ready"] else None
