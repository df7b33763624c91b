"""`python -m benchmarks`: measures, prints, and writes down what a whole run has found."""

import argparse
import asyncio
import json
import signal
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from benchmarks.cases import TITLES, Scenario, scenarios_with
from benchmarks.chart import draw
from benchmarks.contenders import Contender, find_commands
from benchmarks.corpus import Sizes
from benchmarks.machine import described
from benchmarks.ours import Ours
from benchmarks.report import markdown, screen_text
from benchmarks.results import Measurement, Results
from benchmarks.runner import run_scenario

_ROOT: Final = Path(__file__).parents[1]
_DOCS: Final = _ROOT / "docs"
_CHART: Final = "benchmarks.svg"


def main() -> None:
    arguments = _parser().parse_args()
    scenarios = scenarios_with(frozenset(arguments.case or TITLES))
    sizes = Sizes.quick() if arguments.quick else Sizes()
    measurements = asyncio.run(_measure(scenarios, sizes, arguments.rounds, arguments.only))
    results = Results(measurements)
    print(f"\n{screen_text(results)}")
    if arguments.quick or arguments.case or arguments.only:
        print("Not written down: that takes all cases in full size with everybody.")
    else:
        _write_down(results, measurements, arguments.rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", type=_words, help=f"of {', '.join(TITLES)}; default: all")
    parser.add_argument("--only", type=_words, help="of transship, skopeo, crane, regsync, 'curl -T'; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a small corpus, to see that everything works")
    return parser


def _words(text: str) -> list[str]:
    return text.split(",")


async def _measure(
    scenarios: Sequence[Scenario], sizes: Sizes, rounds: int, only: Sequence[str] | None
) -> list[Measurement]:
    this = asyncio.current_task()
    assert this is not None
    # Ended like this, too, it leaves no process and no directory behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    commands, missing = find_commands()
    for line in missing:
        print(line)
    async with AsyncExitStack() as stack:
        contenders: list[Contender] = [each for each in commands if only is None or each.name in only]
        if only is None or Ours.name in only:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="transship-bench-stack-"))
            contenders.insert(0, await stack.enter_async_context(Ours.running(Path(directory))))
        found: list[Measurement] = []
        for scenario in scenarios:
            print("; ".join(f"{step.case}: {TITLES[step.case]}" for step in scenario.steps))
            found += await run_scenario(scenario, contenders, sizes, rounds)
    return found


def _write_down(results: Results, measurements: Sequence[Measurement], rounds: int) -> None:
    machine = described()
    _DOCS.mkdir(exist_ok=True)
    page = markdown(results, rounds=rounds, machine=machine, chart=_CHART)
    (_DOCS / "benchmarks.md").write_text(page)
    draw(results, _DOCS / _CHART, _DOCS / "benchmarks.png")
    document = {"machine": machine, "rounds": rounds, "runs": [each.to_json() for each in measurements]}
    latest = Path(__file__).parent / "results" / "latest.json"
    latest.parent.mkdir(exist_ok=True)
    latest.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
