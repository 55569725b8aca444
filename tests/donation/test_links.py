"""Links by mutual TLS: only the pinned servers meet, and what breaks is told."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.donation.processes import free_ports

from sfumato.donation.links import LinkLost, PeerAddress, Switchboard, TlsLink, make_certificate
from sfumato.donation.sharing import FramedChannels, Party, toss
from sfumato.errors import EngineError, PlanError

TASK = bytes(range(32))


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("identities")
    made = []
    for index in range(4):
        certificate, key = make_certificate(f"Server {index}", ["127.0.0.1", "localhost"])
        paths = folder / f"{index}.pem", folder / f"{index}.key"
        paths[0].write_text(certificate)
        paths[1].write_text(key)
        made.append(paths)
    return made


@pytest.fixture
def boards(identities: Any) -> Any:
    ports = free_ports(3)
    made = [board(identities, index, ports) for index in range(3)]
    yield made
    for each in made:
        each.close()


def board(identities: Any, index: int, ports: list[int], **changes: Any) -> Switchboard:
    own = identities[changes.pop("identity", index)]
    peers = {
        peer: PeerAddress("127.0.0.1", ports[peer], identities[peer][0].read_text())
        for peer in range(3)
        if peer != index
    }
    values = {"timeout": 5.0} | changes
    return Switchboard(index, TASK, ("127.0.0.1", ports[index]), *own, peers, **values)


def together(work: Any) -> list[Any]:
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(work, range(3)))


def test_three_meet_at_the_greatest_attempt_and_toss_a_coin(boards):
    def work(index: int) -> Any:
        meeting = boards[index].meet(7, 1 + index, 5.0)
        channels = FramedChannels(meeting.links, meeting.attempt)
        party = Party.agree(index, channels, lambda count: bytes([index + 1]) * count)
        coin = toss(party, lambda count: bytes([index + 1]) * count).draw(4, "u8", "test").tolist()
        # more than the sockets' buffers hold, both ways at once
        big = bytes(6_000_000)
        channels.begin("big")
        for peer in meeting.links:
            channels.send(peer, big)
        sizes = [len(channels.receive(peer)) for peer in meeting.links]
        channels.close()
        return meeting.attempt, coin, sizes

    results = together(work)
    assert {attempt for attempt, _, _ in results} == {3}
    assert results[0][1] == results[1][1] == results[2][1]
    assert all(sizes == [6_000_000] * 2 for _, _, sizes in results)


def test_servers_meet_again_after_one_has_left(boards):
    def leave(index: int) -> Any:
        meeting = boards[index].meet(0, 1, 5.0)
        if index == 2:
            meeting.links[0].close()
            meeting.links[1].close()
            return None
        with pytest.raises(LinkLost, match="server 2"):
            meeting.links[2].read(1)
        for link in meeting.links.values():
            link.close()
        return None

    together(leave)

    def again(index: int) -> int:
        for failures in range(30):
            try:
                meeting = boards[index].meet(0, 2, 2.0)
            except LinkLost:
                boards[index].wait(failures)
                continue
            for link in meeting.links.values():
                link.close()
            return meeting.attempt
        return 0

    assert together(again) == [2, 2, 2]


def test_a_server_that_does_not_come_is_waited_for_and_told(boards):
    def work(index: int) -> None:
        if index < 2:
            start = time.monotonic()
            with pytest.raises(LinkLost, match="server 2 has not come to round 0"):
                boards[index].meet(0, 1, 0.6)
            assert time.monotonic() - start < 4

    together(work)


def test_rounds_are_not_mixed_up(boards):
    heard = []
    boards[1]._called = heard.append

    def work(index: int) -> None:
        with pytest.raises(LinkLost):
            boards[index].meet(index, 1, 0.5)

    together(work)
    assert set(heard) == {0, 2}


def test_a_stranger_with_a_certificate_of_its_own_is_not_heard(identities, boards):
    context = ssl.create_default_context(cafile=str(identities[0][0]))
    context.load_cert_chain(*identities[3])
    with socket.create_connection(("127.0.0.1", boards[0].port), 5) as plain:  # noqa: SIM117
        with pytest.raises((ssl.SSLError, OSError)):  # noqa: PT012 - either end may say it
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(bytes(73))
                assert connection.recv(1)
    # and a peer does not pass for the other one
    ports = [boards[0].port, boards[1].port, boards[2].port]
    impostor = board(identities, 2, [ports[0], ports[1], 0], identity=1)
    with pytest.raises(LinkLost):
        impostor.meet(0, 1, 0.5)
    assert 2 not in boards[0]._calls
    impostor.close()


def test_a_server_with_another_certificate_than_its_card_is_not_called(identities):
    ports = free_ports(3)
    other = board(identities, 0, ports, identity=3)
    caller = board(identities, 1, ports)
    with pytest.raises(LinkLost, match="server 0 does not shake hands"):
        caller.meet(0, 1, 1.0)
    other.close()
    caller.close()


def test_garbage_and_silence_do_not_occupy_the_listener(boards):
    silent = [socket.create_connection(("127.0.0.1", boards[0].port), 5) for _ in range(5)]
    with socket.create_connection(("127.0.0.1", boards[0].port), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")

    def work(index: int) -> int:
        for failures in range(20):
            try:
                meeting = boards[index].meet(0, 1, 3.0)
            except LinkLost:
                boards[index].wait(failures)
                continue
            for link in meeting.links.values():
                link.close()
            return meeting.attempt
        return 0

    assert together(work) == [1, 1, 1]
    for each in silent:
        each.close()


def test_a_peer_that_falls_silent_is_lost_after_the_timeout(identities):
    here, there = socket.socketpair()
    back, forth = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*identities[0])
    client = ssl.create_default_context(cafile=str(identities[0][0]))
    client.check_hostname = False
    done: list[Any] = []
    threads = [
        threading.Thread(target=lambda: done.append(server.wrap_socket(there, server_side=True))),
        threading.Thread(target=lambda: done.append(client.wrap_socket(forth))),
    ]
    for thread in threads:
        thread.start()
    outgoing = client.wrap_socket(here)
    incoming = server.wrap_socket(back, server_side=True)
    for thread in threads:
        thread.join()
    link = TlsLink(2, outgoing, incoming, 0.2)
    with pytest.raises(LinkLost, match="server 2 has not answered within"):
        link.read(1)
    link.close()
    link.close()
    for each in done:
        each.close()


def test_a_port_that_is_taken_and_a_key_that_is_none_are_told(identities, boards):
    with pytest.raises(EngineError, match="cannot listen"):
        board(identities, 1, [boards[0].port, boards[0].port, 0])
    with pytest.raises(PlanError, match="certificate or key"):
        Switchboard(0, TASK, ("127.0.0.1", 0), "nowhere.pem", "nowhere.key", {})
