"""Where a server may listen, and what it says of where it may not."""

import os
import socket

import pytest

from ogrom.serve import ListenError, listen


@pytest.mark.parametrize("where", ["127.0.0.1:0", "[::1]:0"])
def test_tcp(where):
    """Port 0 takes a free one."""
    with listen(where) as listener:
        assert listener.getsockname()[1] > 0
        assert not listener.getblocking()


def test_a_unix_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not(tmp_path):
    """Who was killed could not remove it."""
    where = f"unix:{tmp_path}/s"
    listen(where).close()
    with listen(where), pytest.raises(ListenError, match="Stop what has it"):
        listen(where)


def test_what_is_no_socket_is_left_alone(tmp_path):
    """A file by that name may be somebody's."""
    (tmp_path / "s").write_text("mine")
    with pytest.raises(ListenError, match="choose another path"):
        listen(f"unix:{tmp_path}/s")
    assert (tmp_path / "s").read_text() == "mine"


def test_a_path_that_is_too_long_says_how_long_it_may_be(tmp_path):
    """The kernel takes 107 bytes."""
    with pytest.raises(ListenError, match="at most 100 characters"):
        listen(f"unix:{tmp_path}/{'s' * 120}")


def test_a_socket_that_was_handed_down():
    """As a process that replaces another gets it."""
    with socket.create_server(("127.0.0.1", 0)) as given, listen(f"fd:{given.fileno()}") as taken:
        assert taken.getsockname() == given.getsockname()


@pytest.mark.parametrize(
    "where", ["", "8080", "localhost", ":80", "a:b", "a:99999", "fd:x", "fd:999"]
)
def test_what_is_no_place_says_how_to_write_one(where):
    """Never a traceback."""
    with pytest.raises(ListenError, match=r"no place to listen|no socket that was handed"):
        listen(where)


def test_a_port_that_is_taken_says_what_to_do():
    """Both ways out are named."""
    with listen("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match="choose another port"):
            listen(f"127.0.0.1:{port}")


def test_the_descriptor_given_stays_open():
    """It belongs to who gave it."""
    with socket.create_server(("127.0.0.1", 0)) as given:
        listen(f"fd:{given.fileno()}").close()
        os.fstat(given.fileno())
