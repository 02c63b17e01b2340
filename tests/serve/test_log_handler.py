"""What the standard library's `logging` is told becomes lines of the one log."""

import json
import logging

import pytest

from ogrom.serve import JsonLog, LogHandler


@pytest.fixture
def told():
    """A logger of its own, and what has been written."""
    written: list[bytes] = []
    log = JsonLog("shop", "abc1234", write=written.append)
    handler = LogHandler(log)
    logger = logging.getLogger("ogrom.test.handler")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)

    def lines():
        log.close()
        return [json.loads(line) for line in b"".join(written).splitlines()]

    yield logger, lines
    logger.removeHandler(handler)


def test_a_warning_is_a_line(told):
    """With its logger, its level as ECS has it, and the service's own fields."""
    logger, lines = told
    logger.warning("%s is away for %g s", "users", 2)
    logger.critical("the end")
    first, second = lines()
    assert "users is away for 2 s" == first["message"]
    assert ("warn", "fatal") == (first["log.level"], second["log.level"])
    assert "ogrom.test.handler" == first["log.logger"]
    assert ("shop", "abc1234") == (first["service.name"], first["service.version"])
    assert first["@timestamp"].endswith("Z")
    assert "error.type" not in first


def test_an_exception_comes_with_its_stack(told):
    """Where it was raised."""
    logger, lines = told
    try:
        {}["nothing\nhere"]
    except KeyError:
        logger.exception("it failed")
    [line] = lines()
    assert ("KeyError", r"'nothing\nhere'") == (line["error.type"], line["error.message"])
    assert "test_an_exception_comes_with_its_stack" in line["error.stack_trace"]


def test_what_is_no_utf8_is_told_all_the_same():
    """Such as the name of a file; and nothing that was told with it is lost."""
    written: list[bytes] = []
    log = JsonLog("shop", "abc1234", write=written.append)
    # Straight to the handler: what pytest keeps of records cannot be handed on with this in it.
    handler = LogHandler(log)
    name = b"photo-\xe4.jpg".decode("utf-8", "surrogateescape")
    about = FileNotFoundError(2, "No such file", name)
    handler.emit(logging.makeLogRecord({"msg": "before"}))
    handler.emit(
        logging.makeLogRecord(
            {"msg": "%s is away", "args": (name,), "exc_info": (type(about), about, None)}
        )
    )
    log.close()
    before, line = [json.loads(line) for line in b"".join(written).splitlines()]
    assert ("before", r"photo-\udce4.jpg is away") == (before["message"], line["message"])
    assert "photo-" in line["error.message"]
    assert "FileNotFoundError" in line["error.stack_trace"]


def test_what_is_less_than_a_warning_is_not_told(told):
    """Unless somebody asks for it."""
    logger, lines = told
    logger.info("by the way")
    assert [] == lines()


def test_a_lower_level_on_demand(told):
    """A handler may have another level."""
    logger, lines = told
    handler = logger.handlers[0]
    handler.setLevel(logging.INFO)
    logger.info("by the way")
    [line] = lines()
    assert "info" == line["log.level"]
