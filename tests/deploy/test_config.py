"""`[tool.ogrom]`: what it may say, and what is said when it cannot be right."""

from pathlib import Path

import pytest

from ogrom.deploy import Config, ConfigError, Local, Rollout, load, parse

ROOT = Path(__file__).resolve().parent.parent.parent
LEAST = '[tool.ogrom]\nname = "tea"\nlock = "lock.txt"\ncommand = "tea serve"\n'
TARGET = LEAST + '[tool.ogrom.targets.live]\nkind = "local"\n'


def test_three_keys_are_enough():
    """The rest has defaults: one project at the root, a careful rollout, no target yet."""
    assert Config(name="tea", lock="lock.txt", command="tea serve") == parse(LEAST.encode())


def test_the_repository_s_own_table_is_read():
    """The shop, with a target for production and one for staging."""
    config = load(ROOT)
    assert ("shop", (".", "shop"), "shop serve") == (config.name, config.projects, config.command)
    assert ["production", "staging"] == list(config.targets)
    assert (ROOT / config.lock).is_file()
    assert config.requests[0] == ("GET", "/")


def test_everything_can_be_said():
    """Numbers of instances are a number or bounds."""
    text = (
        LEAST
        + 'projects = ["a", "b"]\nwarm = ["GET /", "POST /x?y=1"]\n'
        + "[tool.ogrom.rollout]\nweights = [50, 100]\nwatch_seconds = 2\nstart_seconds = 3\n"
        + "drain_seconds = 4\nkeep = 2\n"
        + '[tool.ogrom.targets.one]\nkind = "local"\ninstances = 3\n'
        + '[tool.ogrom.targets.more]\nkind = "local"\ninstances = "1..4"\n'
        + 'listen = "[::1]:80"\npage = "localhost:81"\n'
    )
    config = parse(text.encode())
    rollout = Rollout((50, 100), watch_seconds=2, start_seconds=3, drain_seconds=4, keep=2)
    assert rollout == config.rollout
    assert (("GET", "/"), ("POST", "/x?y=1")) == config.requests
    assert [(3, 3), (1, 4)] == [target.bounds for target in config.targets.values()]
    assert ("more", config.targets["more"]) == config.target("more")
    assert "[::1]:80" == config.targets["more"].listen


def test_without_a_name_it_is_the_first_target():
    """So that one who has only one need not name it."""
    config = parse((TARGET + '[tool.ogrom.targets.other]\nkind = "local"\n').encode())
    assert ("live", Local()) == config.target()


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (
            TARGET,
            "lve",
            "There is no target 'lve' (did you mean live?). pyproject.toml names: live.",
        ),
        (LEAST, "lve", "Write [tool.ogrom.targets.lve] with kind"),
        (LEAST, None, "Write [tool.ogrom.targets.production] with kind"),
    ],
)
def test_a_target_that_is_not_there_is_named(text, name, said):
    """With those that are, or with what to write."""
    with pytest.raises(ConfigError) as caught:
        parse(text.encode()).target(name)
    assert said in str(caught.value)


WRONG = {
    "no TOML": ("[tool", "is no TOML"),
    "no UTF-8": (b"\xff", "is no TOML"),
    "no table": ("[tool.other]", "has no [tool.ogrom]"),
    "no table at all": ("tool = 3", "has no [tool.ogrom]"),
    "misspelt": (LEAST + 'warn = ["GET /"]', "tool.ogrom.warn is unknown (did you mean warm?)"),
    "unlike anything": (LEAST + "zzz = 1", "tool.ogrom.zzz is unknown. Known are name, lock,"),
    "misspelt in rollout": (
        LEAST + "[tool.ogrom.rollout]\nwatch_second = 1",
        "tool.ogrom.rollout.watch_second is unknown (did you mean watch_seconds?)",
    ),
    "misspelt in a target": (
        TARGET + 'lisen = "x"',
        "tool.ogrom.targets.live.lisen is unknown (did you mean listen?)",
    ),
    "name missing": (
        "[tool.ogrom]",
        "tool.ogrom.name is missing. Write the service's name: name =",
    ),
    "lock missing": ('[tool.ogrom]\nname = "x"', "tool.ogrom.lock is missing. Write the file"),
    "command missing": (
        '[tool.ogrom]\nname = "x"\nlock = "l"',
        'tool.ogrom.command is missing. Write how an instance starts: command = "shop serve"',
    ),
    "wrong type": (LEAST + "projects = 3", "tool.ogrom.projects: Expected `array`, got `int`"),
    "wrong item": (
        LEAST + "warm = [3]",
        "tool.ogrom.warm[0]: Expected `str`, got `int`",
    ),
    "targets no table": (LEAST + "targets = 3", "tool.ogrom.targets: Expected `object`"),
    "rollout no table": (LEAST + "rollout = 3", "tool.ogrom.rollout: Expected `object`"),
    "target no table": (
        LEAST + "[tool.ogrom.targets]\nlive = 3",
        "Write [tool.ogrom.targets.live]",
    ),
    "no kind": (
        LEAST + "[tool.ogrom.targets.live]",
        'tool.ogrom.targets.live.kind is missing. Write kind = "local"',
    ),
    "unknown kind": (
        LEAST + '[tool.ogrom.targets.live]\nkind = "locale"',
        "tool.ogrom.targets.live.kind = 'locale' is none (did you mean local?)",
    ),
    "name for files": (LEAST.replace('"tea"', '"Te/a"'), "tool.ogrom.name = 'Te/a'"),
    "lock outside": (LEAST.replace("lock.txt", "../lock.txt"), "is not inside the repository"),
    "project absolute": (LEAST + 'projects = ["/x"]', "tool.ogrom.projects: '/x'"),
    "no project": (LEAST + "projects = []", 'Write projects = ["."]'),
    "empty command": (LEAST.replace("tea serve", " "), "tool.ogrom.command is empty"),
    "no request": (LEAST + 'warm = ["/x"]', "tool.ogrom.warm: '/x' is no request"),
    "no such method": (LEAST + 'warm = ["FETCH /x"]', "is no request. Write method and path"),
    "unsafe path": (LEAST + 'warm = ["GET /x HTTP/1.1"]', "is no request"),
    "weights fall": (LEAST + "[tool.ogrom.rollout]\nweights = [25, 5, 100]", "the shares rise"),
    "weights end early": (LEAST + "[tool.ogrom.rollout]\nweights = [5]", "end with all of the"),
    "no weights": (LEAST + "[tool.ogrom.rollout]\nweights = []", "Write weights = [5, 25, 100]"),
    "weight too large": (
        LEAST + "[tool.ogrom.rollout]\nweights = [500]",
        "tool.ogrom.rollout.weights[0]: Expected `int` <= 100",
    ),
    "negative time": (
        LEAST + "[tool.ogrom.rollout]\nwatch_seconds = -1",
        "tool.ogrom.rollout.watch_seconds: Expected `float` >= 0",
    ),
    "target's name": (
        LEAST + '[tool.ogrom.targets."a/b"]\nkind = "local"',
        "is part of file names",
    ),
    "no address": (TARGET + 'listen = "8080"', "targets.live.listen = '8080' is no address"),
    "no port": (TARGET + 'listen = "x:99999"', 'Write listen = "127.0.0.1:8080"'),
    "page for all": (TARGET + 'page = "0.0.0.0:1"', "whoever reaches the page can roll back"),
    "page's port": (TARGET + 'page = "127.0.0.1:99999"', 'Write page = "127.0.0.1:8081"'),
    "instances in words": (TARGET + 'instances = "two"', "Write instances = 2, or bounds"),
    "no instances": (TARGET + "instances = 0", "is no number of instances"),
    "bounds turned round": (TARGET + 'instances = "4..1"', "is no number of instances"),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_right_is_named(content, said):
    """The file, the key, and what to write."""
    with pytest.raises(ConfigError) as caught:
        parse(content if isinstance(content, bytes) else content.encode(), where="x.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("x.toml")


def test_a_folder_without_pyproject_says_where_to_go(tmp_path):
    """As when the command runs one folder too high."""
    with pytest.raises(ConfigError, match=r"is missing. Run this in the service's repository"):
        load(tmp_path)


def test_a_pyproject_that_cannot_be_read_is_named(tmp_path):
    """A folder of that name, here."""
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load(tmp_path)
