"""What the system's errors are told apart by."""

from __future__ import annotations

import errno

from kimi_pipeline.errors import says


def test_a_number_of_the_systems_is_taken_whole() -> None:
    quota = OSError("Generic LocalFileSystem error: Disk quota exceeded (os error 122)")
    assert not says(quota, (errno.EPERM, 12))
    assert says(quota, (errno.EPERM, errno.EDQUOT))
    assert says(OSError(errno.EPERM, "no"), (errno.EPERM,))
    assert says(OSError('Os { code: 1, kind: PermissionDenied, message: "no" }'), (errno.EPERM,))
    assert not says(OSError('Os { code: 12, kind: OutOfMemory, message: "no" }'), (errno.EPERM,))
