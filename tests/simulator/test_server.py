"""The simulator as a client sees it, over real sockets."""

from __future__ import annotations

import csv
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from tests.simulator.candles import M1
from tests.simulator.client import Client, bare, client, request, rest, text, until
from tickstream.errors import ConfigError, NetworkError, OutputError
from tickstream.session.frames import FrameReader
from tickstream.simulator import broadcast, connection
from tickstream.simulator.market import MINUTE_NS
from tickstream.simulator.options import RACE, SimulatorOptions
from tickstream.simulator.server import Simulator
from tickstream.timestamps import parse_rfc3339

BOTH = ("EURUSD", "XAUUSD")
MINUTES = 240
"""Lines of both files together."""
FAST = 60_000.0
"""A thousand minutes a second."""

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl program")


def simulator(**options: Any) -> Simulator:
    return Simulator(SimulatorOptions(**{"quota": "unlimited", "heartbeat_s": 600.0} | options))


def lines_of(symbol: str) -> list[list[str]]:
    with (M1 / f"{symbol}.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def as_lines(quotes: list[dict[str, Any]], symbol: str) -> list[list[str]]:
    """The quotes of a symbol as lines of its file."""
    return [
        [
            one["time"].replace("T", " ").removesuffix("Z"),
            one["open"],
            one["high"],
            one["low"],
            one["close"],
            one["volume"],
        ]
        for one in quotes
        if one["symbol"] == symbol
    ]


def silent(one: Client, wait_s: float = 0.2) -> bool:
    try:
        one.receive(wait_s)
    except TimeoutError:
        return True
    return False


# --- replayed minutes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [FAST, RACE])
def test_every_minute_of_both_files_arrives_once_in_order_with_the_digits_of_the_file(speed: float) -> None:
    with simulator(m1=M1, speed=speed) as sim, client(sim) as one:
        quotes = one.subscribe(*BOTH).quotes(MINUTES)
        for symbol in BOTH:
            assert as_lines(quotes, symbol) == lines_of(symbol)
        assert [quote["time"] for quote in quotes] == sorted(quote["time"] for quote in quotes)
        assert silent(one), "after the last minute the connection is open and idle"


def test_market_time_begins_with_the_first_subscription() -> None:
    with simulator(m1=M1, speed=FAST) as sim, client(sim) as early, client(sim) as one:
        assert early.authenticate("other")["type"] == "authenticated"
        assert silent(early)
        assert one.subscribe("XAUUSD").quotes(1)[0]["time"] == "2026-06-24T14:30:00Z"


def test_a_replay_can_begin_later() -> None:
    start_ns = int(parse_rfc3339("2026-06-24T15:00:30Z"))
    with simulator(m1=M1, speed=FAST, start_ns=start_ns) as sim, client(sim) as one:
        assert one.subscribe("XAUUSD").quotes(1)[0]["time"] == "2026-06-24T15:01:00Z"


def test_a_start_after_the_last_candle_is_refused() -> None:
    with pytest.raises(ConfigError, match="after the last candle"):
        simulator(m1=M1, start_ns=int(parse_rfc3339("2027-01-01T00:00:00Z")))


def test_a_symbol_without_a_file_is_refused() -> None:
    with simulator(m1=M1, speed=FAST) as sim, client(sim) as one:
        one.authenticate()
        answer = one.ask(action="subscribe", symbols=["GBPUSD", "EURUSD"])
        assert (answer["code"], answer["message"]) == ("invalid_symbol", "Unknown symbol: GBPUSD")
        assert one.receive()["symbols"] == ["EURUSD"]


def test_at_the_end_the_connection_can_be_closed_after_all_is_delivered() -> None:
    with simulator(m1=M1, speed=RACE, at_end="close") as sim, client(sim) as one:
        assert len(one.subscribe(*BOTH).quotes(MINUTES)) == MINUTES
        with pytest.raises(ConnectionClosedOK) as closed:
            one.receive()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "the replay is over")


def test_at_the_end_the_files_can_begin_anew_on_a_later_day() -> None:
    with simulator(m1=M1, speed=RACE, at_end="loop") as sim, client(sim) as one:
        quotes = one.subscribe(*BOTH).quotes(2 * MINUTES + 1)
    assert quotes[MINUTES]["time"] == "2026-06-25T14:30:00Z"
    assert quotes[2 * MINUTES]["time"] == "2026-06-26T14:30:00Z"
    assert quotes[0]["close"] == quotes[MINUTES]["close"]


# --- random minutes ------------------------------------------------------------------------------------------------


def test_minutes_go_on_over_reconnects_and_never_come_again() -> None:
    times: list[str] = []
    with simulator(speed=6_000.0) as sim:
        for _ in range(3):
            with client(sim) as one:
                times += [quote["time"] for quote in one.subscribe("EURUSD").quotes(5)]
    assert times == sorted(set(times))


def test_the_same_seed_and_start_give_the_same_market() -> None:
    def market(seed: int) -> list[dict[str, Any]]:
        with simulator(speed=RACE, seed=seed, start_ns=10**18) as sim, client(sim) as one:
            return one.subscribe("EURUSD", "BTCUSD").quotes(20)

    assert market(1) == market(1)
    assert market(1) != market(2)


def test_in_real_time_a_minute_comes_when_it_is_complete() -> None:
    with simulator(market_hours="ignore") as sim, client(sim) as one:
        one.subscribe("EURUSD")
        sim.skip(3)
        quotes = one.quotes(3)
    opens = [int(parse_rfc3339(quote["time"])) for quote in quotes]
    assert opens == [opens[0], opens[0] + MINUTE_NS, opens[0] + 2 * MINUTE_NS]
    assert quotes[0]["close"] == quotes[1]["open"]


def test_a_market_that_jumps_sends_all_its_minutes_at_once() -> None:
    with simulator(speed=1.0, start_ns=10**18) as sim, client(sim) as one:
        one.subscribe("EURUSD")
        sim.skip(500)
        assert len({quote["time"] for quote in one.quotes(500)}) == 500


# --- keys, credits, heartbeats -------------------------------------------------------------------------------------


def test_two_connections_per_key_and_a_slot_is_free_when_one_is_gone() -> None:
    with simulator() as sim, client(sim) as first, client(sim) as third:
        with client(sim) as second:
            assert [one.authenticate()["type"] for one in (first, second)] == ["authenticated"] * 2
            assert third.authenticate()["code"] == "connection_limit"
            with pytest.raises(ConnectionClosedError) as closed:
                third.receive()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "connection_limit")
        assert sim.wait_for(lambda: len(sim.clients) == 1)
        with client(sim) as fourth:
            assert fourth.authenticate()["type"] == "authenticated"


def test_heartbeats_come_as_often_as_asked() -> None:
    with simulator(heartbeat_s=0.05) as sim, client(sim) as one:
        one.authenticate()
        assert [one.receive()["type"] for _ in range(3)] == ["heartbeat"] * 3


def test_who_does_not_authenticate_is_closed() -> None:
    with simulator(auth_deadline_s=0.1) as sim, client(sim) as one:
        assert one.receive()["code"] == "auth_timeout"
        with pytest.raises(ConnectionClosedError):
            one.receive()


def test_credits_run_out_and_come_back() -> None:
    with simulator(plan="starter", quota=15, quota_reset_after_s=0.3, speed=6_000.0) as sim, client(sim) as one:
        kinds = [one.subscribe("EURUSD").receive().get("code", "quote") for _ in range(1)]
        kinds += [one.receive().get("code", "quote") for _ in range(6)]
    assert kinds == ["quote"] * 3 + ["quota_exceeded"] + ["quote"] * 3


def test_an_error_can_end_the_connection_without_a_close_frame() -> None:
    with simulator(keys=("good",), close_code=None) as sim, client(sim) as one:
        assert one.authenticate("bad")["code"] == "invalid_key"
        with pytest.raises(ConnectionClosedError) as closed:
            one.receive()
        assert closed.value.rcvd is None
    assert sim.auth_frames == 1


# --- what is counted and recorded ----------------------------------------------------------------------------------


def test_what_was_sent_is_what_was_received(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with simulator(m1=M1, speed=FAST, journal=path, record=True) as sim, client(sim) as one:
        quotes = one.subscribe(*BOTH).quotes(MINUTES)
        assert sim.wait_for(lambda: sim.pushes == MINUTES)
        sent = sim.sent
    assert [(record.symbol, record.item.close, record.item.bid, record.item.ask) for record in sent] == [
        (quote["symbol"], quote["close"], quote["bid"], quote["ask"]) for quote in quotes
    ]
    assert {record.connection for record in sent} == {1}
    lines = [json.loads(line, parse_float=str) for line in path.read_text().splitlines()]
    assert [(line["symbol"], line["market_time"]) for line in lines] == [
        (quote["symbol"], quote["time"]) for quote in quotes
    ]


def test_connections_auth_messages_and_pushes_are_counted_over_all_connections() -> None:
    with simulator(speed=RACE, start_ns=10**18) as sim:
        for number in range(3):
            with client(sim) as one:
                one.subscribe("EURUSD").quotes(10)
                assert sim.wait_for(
                    lambda number=number: (sim.connections, sim.auth_frames) == (number + 1, number + 1)
                )  # type: ignore[misc]  # mypy and defaults
                assert [len(peer.symbols) for peer in sim.clients] == [1]
        assert sim.wait_for(lambda: not sim.clients)
        assert sim.pushes >= 30
        assert sim.sent == [], "nothing is kept unless asked for"


def test_waiting_for_what_does_not_come_ends() -> None:
    with simulator() as sim:
        assert not sim.wait_for(lambda: sim.connections > 0, 0.05)


def test_each_thing_that_happens_is_one_line_in_the_log_and_no_line_has_the_key() -> None:
    log: list[str] = []
    with simulator(log=log.append) as sim:
        with client(sim) as one:
            one.subscribe("EURUSD", key="canary-key")
        assert sim.wait_for(lambda: not sim.clients and len(log) == 4)
    assert log == [
        "#1 connected",
        "#1 authenticated, plan pro",
        "#1 subscribed: now EURUSD",
        "#1 closed by the client, 1000",
    ]


def test_a_journal_that_cannot_be_written_makes_it_fail() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    failed = threading.Event()
    with simulator(speed=RACE, journal=Path("/dev/full")) as sim:
        sim.on_failure(failed.set)
        with client(sim) as one:
            one.subscribe("EURUSD")
            assert failed.wait(10)
        assert isinstance(sim.failure, OutputError)
        late = threading.Event()
        sim.on_failure(late.set)
        assert late.is_set(), "who asks late is told at once"


# --- the end of connections ----------------------------------------------------------------------------------------


def ending(act: Callable[[Simulator], None]) -> ConnectionClosedError | ConnectionClosedOK:
    with simulator() as sim, client(sim) as one:
        one.subscribe("EURUSD")
        act(sim)
        with pytest.raises((ConnectionClosedError, ConnectionClosedOK)) as closed:
            one.receive()
        return closed.value


def test_stopping_says_goodbye_with_1001() -> None:
    closed = ending(Simulator.stop)
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1001


def test_connections_can_be_closed_with_any_code() -> None:
    closed = ending(lambda sim: sim.close_connections(1012, "restart"))
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1012, "restart")


@pytest.mark.parametrize("reset", [False, True])
def test_connections_can_be_dropped(reset: bool) -> None:
    assert ending(lambda sim: sim.drop_connections(reset=reset)).rcvd is None


def test_a_client_that_comes_while_it_stops_is_hung_up_on() -> None:
    with simulator() as sim:
        sim._shared.stopping.set()
        with bare(sim) as late:
            assert rest(late) == b""
        sim._shared.stopping.clear()


@pytest.mark.parametrize("spare", range(6, 10))
def test_without_file_descriptors_it_waits_until_there_are_some_again(spare: int) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [socket.socket() for _ in range(4)]
    with simulator() as sim:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(one.fileno() for one in waiting) + spare, before[1]))
        try:
            for one in waiting:
                one.settimeout(10)
                one.connect(("127.0.0.1", sim.port))
            assert not sim.wait_for(lambda: sim.connections == len(waiting), 0.15)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for one in waiting:
            one.close()
        with client(sim) as last:
            assert last.authenticate()["type"] == "authenticated"


def test_all_threads_end_and_the_port_is_free_again() -> None:
    before = set(threading.enumerate())
    sim = simulator(m1=M1, speed=FAST, faults=("http-301x0",)).start()
    with client(sim) as one, bare(sim, b"GET"):
        one.subscribe("EURUSD").quotes(1)
        assert sim.wait_for(lambda: sim.connections == 2)
        sim.stop()
        sim.stop()
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("simulator")]
    assert left == []
    socket.create_server(("127.0.0.1", sim.port)).close()


def test_a_simulator_that_was_never_started_can_be_stopped() -> None:
    simulator().stop()


def test_a_port_that_is_taken_is_a_network_error() -> None:
    with simulator() as sim, pytest.raises(NetworkError, match=f"Cannot listen on 127.0.0.1 port {sim.port}"):
        simulator(port=sim.port).start()


def test_it_listens_on_ipv6_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with simulator(host="::1", speed=RACE, faults=("http-301x0",)) as sim, client(sim) as one:
        assert sim.url.startswith("ws://[::1]:")
        assert one.subscribe("EURUSD").quotes(1)


# --- clients that do not read --------------------------------------------------------------------------------------


def read_quotes(sock: socket.socket, count: int) -> list[bytes]:
    """The times of so many quotes, without the cost of decoding them."""
    reader, times = FrameReader(), []
    reader.feed(until(sock, b'"subscribed"').partition(b"\r\n\r\n")[2])
    while len(times) < count:
        chunk = sock.recv(65536)
        assert chunk, "it was hung up on"
        times += [payload[50:70] for payload in reader.feed(chunk).payloads if payload[9:14] == b"quote"]
    return times


def subscribed(sock: socket.socket, key: str) -> None:
    sock.sendall(text(action="auth", key=key) + text(action="subscribe", symbols=["EURUSD"]))


def test_a_client_that_does_not_read_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MAX_BACKLOG", 30_000)
    monkeypatch.setattr(connection, "FLUSH_S", 0.2)
    log: list[str] = []
    with (
        simulator(m1=M1, at_end="loop", speed=250_000_000.0, log=log.append) as sim,
        bare(sim, receive_buffer=4096) as lazy,
        bare(sim) as busy,
    ):
        subscribed(lazy, "lazy")
        subscribed(busy, "busy")
        times = read_quotes(busy, 60_000)
        assert times == sorted(set(times))
        assert sim.wait_for(lambda: "#1 gone: it does not read" in log, 20)


def test_in_a_race_the_market_waits_for_the_slowest_and_gives_up_who_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broadcast, "PATIENCE_S", 0.2)
    monkeypatch.setattr(connection, "FLUSH_S", 0.2)
    log: list[str] = []
    with (
        simulator(m1=M1, at_end="loop", speed=RACE, log=log.append) as sim,
        bare(sim, receive_buffer=4096) as lazy,
        bare(sim) as busy,
    ):
        subscribed(lazy, "lazy")
        subscribed(busy, "busy")
        times = read_quotes(busy, 60_000)
        assert times == sorted(set(times))
        assert sim.wait_for(lambda: "#1 gone: it does not read" in log, 20)


def test_a_client_that_only_talks_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FLUSH_S", 0.2)
    with simulator() as sim, bare(sim, receive_buffer=4096) as chatty:
        until(chatty, b"\r\n\r\n")
        chatty.settimeout(0.5)
        pings = text(action="ping") * 2_000
        with pytest.raises(TimeoutError):
            chatty.sendall(pings * 1_000)
        with client(sim) as one:
            one.subscribe("EURUSD")


# --- TLS -----------------------------------------------------------------------------------------------------------


@needs_openssl
def test_tls_with_a_certificate_made_for_the_run() -> None:
    with simulator(tls=True, m1=M1, speed=RACE) as sim:
        assert sim.url.startswith("wss://127.0.0.1:")
        assert sim.ca_file is not None
        with client(sim, ssl.create_default_context(cafile=str(sim.ca_file))) as one:
            quotes = one.subscribe(*BOTH).quotes(MINUTES)
        assert as_lines(quotes, "EURUSD") == lines_of("EURUSD")
        with pytest.raises(ssl.SSLCertVerificationError), client(sim, ssl.create_default_context()):
            pass
    assert not sim.ca_file.exists()


@needs_openssl
def test_much_data_goes_both_ways_over_tls() -> None:
    with simulator(tls=True, speed=RACE) as sim:
        with client(sim, ssl.create_default_context(cafile=str(sim.ca_file))) as one:
            one.subscribe("EURUSD")
            for _ in range(20):
                one.send(action="ping", padding="x" * 20_000)
            pongs = quotes = 0
            while pongs < 20 or quotes < 5_000:
                kind = one.receive()["type"]
                pongs += kind == "pong"
                quotes += kind == "quote"
        assert sim.wait_for(lambda: not sim.clients)


@needs_openssl
def test_no_message_is_left_lying_inside_tls() -> None:
    with simulator(tls=True) as sim, bare(sim, b"") as sock:
        context = ssl.create_default_context(cafile=str(sim.ca_file))
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as secure:
            pings = text(action="ping", padding="x" * 60_000) * 60
            talk = threading.Thread(target=secure.sendall, args=(request() + text(action="auth", key="k") + pings,))
            talk.start()
            data = b""
            while data.count(b'"pong"') < 60:
                data += secure.recv(65536)
            talk.join()


def test_plain_text_to_a_tls_port_ends_that_connection_only() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program")
    with simulator(tls=True) as sim:
        with bare(sim) as plain:
            assert sim.wait_for(lambda: sim.connections == 1)
            rest(plain)
        with client(sim, ssl.create_default_context(cafile=str(sim.ca_file))) as one:
            one.authenticate()


def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with simulator(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem") as sim, client(sim, context) as one:
        assert one.authenticate()["type"] == "authenticated"
    assert (tmp_path / "cert.pem").exists()
