"""What other threads have for a connection."""

from __future__ import annotations

import select
import threading

from tests.simulator.candles import round_of
from tickstream.simulator.mailbox import Mailbox
from tickstream.simulator.outgoing import Ending


def rings(mailbox: Mailbox) -> bool:
    return bool(select.select([mailbox.ear], [], [], 0)[0])


def test_rounds_come_out_in_order_and_are_counted_while_they_wait() -> None:
    mailbox = Mailbox()
    first, second = round_of("EURUSD"), round_of("EURUSD", "XAUUSD")
    assert mailbox.empty
    assert [mailbox.post(first), mailbox.post(second)] == [1, 3]
    assert not mailbox.empty
    assert (mailbox.take(), mailbox.backlog) == (first, 2)
    assert (mailbox.take(), mailbox.backlog) == (second, 0)
    assert mailbox.take() is None
    mailbox.close()


def test_the_bell_rings_once_until_somebody_has_looked() -> None:
    mailbox = Mailbox()
    assert not rings(mailbox)
    for _ in range(100_000):
        mailbox.post(round_of("EURUSD"))
        if mailbox.backlog > 3:
            break
    assert rings(mailbox)
    mailbox.hush()
    assert not rings(mailbox)
    mailbox.end(Ending(1001))
    assert rings(mailbox)
    mailbox.hush()
    mailbox.hush()
    mailbox.close()


def test_an_order_overtakes_what_waits_and_the_first_one_counts() -> None:
    mailbox = Mailbox()
    mailbox.post(round_of("EURUSD"))
    mailbox.end(Ending(1001))
    mailbox.end(Ending(1008))
    assert mailbox.order == Ending(1001)
    mailbox.close()


def test_an_end_after_the_backlog_waits_its_turn() -> None:
    mailbox = Mailbox()
    mailbox.post(round_of("EURUSD"))
    mailbox.end_after_backlog(Ending(1000))
    assert mailbox.order is None
    mailbox.take()
    assert mailbox.take() == Ending(1000)
    mailbox.close()


def test_a_closed_mailbox_takes_what_comes_and_does_not_mind() -> None:
    mailbox = Mailbox()
    mailbox.close()
    mailbox.post(round_of("EURUSD"))
    mailbox.end(Ending(1001))
    assert mailbox.backlog == 1


def test_nothing_is_lost_between_two_threads() -> None:
    mailbox = Mailbox()
    rounds = [round_of("EURUSD", minute=minute) for minute in range(2_000)]

    def post() -> None:
        for one in rounds:
            mailbox.post(one)

    poster = threading.Thread(target=post)
    poster.start()
    taken = []
    while len(taken) < len(rounds):
        assert select.select([mailbox.ear], [], [], 10)[0], "the bell was not rung"
        mailbox.hush()
        while (one := mailbox.take()) is not None:
            taken.append(one)
    poster.join()
    assert taken == rounds
    mailbox.close()
