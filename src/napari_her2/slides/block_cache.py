"""A bounded memory of decoded blocks that threads, levels and slides may share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.uint8]
Key = tuple[Hashable, ...]
"""Whose block it is, then which; the owner is compared by identity when it goes."""


class BlockCache:
    """Keep the blocks used last, up to a number of bytes.

    Two threads that want the same missing block decode it once: the second one
    waits for the first.

    Parameters
    ----------
    capacity_bytes
        Sum of the blocks' sizes that is kept.
    """

    def __init__(self, capacity_bytes: int = 128 << 20) -> None:
        self.capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Key, Block] = OrderedDict()
        self._pending: dict[Key, Future[Block]] = {}
        self._bytes = 0

    def get(self, key: Key, load: Callable[[], Block]) -> Block:
        """Return a block, calling ``load`` where nobody has it yet.

        What ``load`` raises is raised in every thread that waits for it.
        """
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                return block
            future = self._pending.get(key)
            is_mine = future is None
            if future is None:
                future = self._pending[key] = Future()
        if not is_mine:
            return future.result()
        try:
            block = load()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            future.set_exception(error)
            raise
        self._keep(key, block)
        future.set_result(block)
        return block

    def _keep(self, key: Key, block: Block) -> None:
        with self._lock:
            del self._pending[key]
            self._blocks[key] = block
            self._bytes += block.nbytes
            while self._bytes > self.capacity_bytes and len(self._blocks) > 1:
                _, old = self._blocks.popitem(last=False)
                self._bytes -= old.nbytes

    @property
    def n_bytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def forget(self, owner: object) -> None:
        """Forget the blocks whose key begins with ``owner``."""
        with self._lock:
            for key in [key for key in self._blocks if key[0] is owner]:
                self._bytes -= self._blocks.pop(key).nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._blocks.clear()
            self._bytes = 0
