"""`python -m benchmarks`: measures, prints, and writes down what was found of each case."""

import argparse
import asyncio
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
from benchmarks.machine import commit, described
from benchmarks.ours import Ours
from benchmarks.record import Record
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
    if arguments.quick or arguments.only:
        print("Not written down: that takes cases in full size with everybody.")
    else:
        _write_down(measurements, arguments.rounds)


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


def _write_down(measurements: Sequence[Measurement], rounds: int) -> None:
    """Puts what was measured in the place of what the record has of these cases, and writes the page anew."""
    record = Record.read().with_measured(measurements, commit=commit(), rounds=rounds, machine=described())
    record.write()
    _DOCS.mkdir(exist_ok=True)
    (_DOCS / "benchmarks.md").write_text(markdown(record, chart=_CHART))
    draw(record.results, _DOCS / _CHART, _DOCS / "benchmarks.png")


if __name__ == "__main__":
    main()
