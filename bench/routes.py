"""How long it takes to match a path, from ten routes to ten thousand.

Run it as `python bench/routes.py`. The sizes and the kinds of paths take turns within each round,
so that a busy machine slows all of them; what is reported is the median of the rounds.
"""

from statistics import median
from time import perf_counter_ns

from _bench import report

from ogrom.http._routing import Router, Routes

SIZES = (10, 100, 1_000, 10_000)
ROUNDS = 31
CALLS = 1_000
PATHS = {
    "static": "/v1/de-DE/kind3/new",
    "dynamic": "/v1/de-DE/kind3/8231-a",
    "dynamic_deep": "/v1/de-DE/kind3/8231-a/comments",
    "typed": "/v1/de-DE/kind3/by-number/8231",
    "encoded": "/v1/de-DE/kind3/8231%20a",
    "miss": "/v1/de-DE/kind3/8231-a/nothing",
    "miss_at_once": "/v2/de-DE/kind3",
}


def table(size: int) -> Router[str]:
    """A service of as many routes, five to a kind, in one version and one locale."""
    routes: Routes[str] = {
        "/v1/de-DE": {
            f"/kind{number}": {
                "": f"kind{number}",
                "/new": "new",
                "/by-number/{number:int}": "by number",
                "/{item_id}": {"": f"item{number}", "/comments": "comments"},
            }
            for number in range(2, 2 + size // 5)
        }
    }
    return Router(routes, name_of=lambda leaf: leaf)


def nanoseconds(router: Router[str], path: str) -> float:
    """One call, of many that are timed together."""
    match = router.match
    calls = range(CALLS)
    start = perf_counter_ns()
    for _ in calls:
        match(path)
    return (perf_counter_ns() - start) / CALLS


def main() -> None:
    """Measures all kinds of paths with all sizes."""
    routers = {size: table(size) for size in SIZES}
    times: dict[tuple[str, int], list[float]] = {(k, size): [] for k in PATHS for size in SIZES}
    links: list[float] = []
    for _ in range(ROUNDS):
        for size, router in routers.items():
            for kind, path in PATHS.items():
                times[kind, size].append(nanoseconds(router, path))
        links.append(link_nanoseconds(routers[10]))
    micro = {key: median(rounds) / 1_000 for key, rounds in times.items()}
    figures = {f"match_{kind}_{size}_routes_us": time for (kind, size), time in micro.items()}
    figures["path_for_us"] = median(links) / 1_000
    rows: list[list[object]] = [
        [f"{kind}: {path}", *(micro[kind, size] for size in SIZES)] for kind, path in PATHS.items()
    ]
    rows.append(["path_for, near a match", figures["path_for_us"], *[""] * (len(SIZES) - 1)])
    columns = ["µs per call, by the number of routes", *(f"{size:,}" for size in SIZES)]
    report("routes", "Matching a path", columns, rows, figures)


def link_nanoseconds(router: Router[str]) -> float:
    """One link to a neighbour of what was matched."""
    here = router.match(PATHS["dynamic"])
    calls = range(CALLS)
    start = perf_counter_ns()
    for _ in calls:
        router.path_for("item3", {"item_id": "8232-b"}, here)
    return (perf_counter_ns() - start) / CALLS


if __name__ == "__main__":
    main()
