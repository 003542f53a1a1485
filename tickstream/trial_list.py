"""A list that a provider takes or refuses as a whole: what is wrong in it, found by halves. Pure."""

from __future__ import annotations


class TrialList:
    """What to ask for next, until all that can be had is had.

    Ask for `wanted`, then say `accept`, `refuse` or `shorten`; go on until it is `settled`. A wrong one among n costs
    about 2 log2(n) requests. Each request replaces the one before it.
    """

    def __init__(self, items: tuple[str, ...]) -> None:
        self.accepted: tuple[str, ...] = ()
        """Those that are good beyond doubt."""
        self._on_trial = items
        self._waiting: list[tuple[str, ...]] = []
        self._in_force: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The list to ask for now."""
        return self.accepted + self._on_trial

    @property
    def settled(self) -> bool:
        """True when what is in force is all that can be had."""
        return not self._on_trial and self._in_force == self.accepted

    def accept(self) -> None:
        """The list asked for is in force."""
        self.accepted = self._in_force = self.wanted
        self._on_trial = self._waiting.pop() if self._waiting else ()

    def refuse(self) -> tuple[str, ...]:
        """Something in the list is wrong. Returns what is now known to be: one item, or none yet.

        What is in force after a refusal is not taken for granted. Raises ValueError when nothing was on trial.
        """
        self._in_force = ()
        if not self._on_trial:
            raise ValueError("a list that was accepted is refused")
        if len(self._on_trial) > 1:
            middle = len(self._on_trial) // 2
            self._waiting.append(self._on_trial[middle:])
            self._on_trial = self._on_trial[:middle]
            return ()
        wrong, self._on_trial = self._on_trial, self._waiting.pop() if self._waiting else ()
        return wrong

    def shorten(self, length: int) -> tuple[str, ...]:
        """The list is too long: only so many may be asked for in all. Returns those that are left out."""
        whole = [*self.accepted, *self._on_trial]
        for part in reversed(self._waiting):
            whole += part
        kept, left_out = tuple(whole[:length]), tuple(whole[length:])
        self.accepted = self.accepted[:length]
        self._on_trial, self._waiting, self._in_force = kept[len(self.accepted) :], [], ()
        return left_out
