"""The commands of LLM-Rec: llmrec augment, llmrec evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from crs.cli.options import JsonOpt, Llm, LlmParallelOpt, asks_llm
from crs.cli.output import Stages, note, say, say_json

llmrec = typer.Typer(
    help="Item texts augmented by a language model, and whether they recommend better.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
DATA_HELP = "A store, or a data set of movies and pairs."
CacheOpt = Annotated[Path, typer.Option(help="Where content rows, neighbours and finished runs are kept.")]


@llmrec.command()
@asks_llm
def augment(
    data: Annotated[Path, typer.Argument(help=DATA_HELP)],
    llm: Llm,
    strategy: Annotated[
        str,
        typer.Option(
            help="paraphrase, tags, inference; these after recommendation-; engagement, "
            "recommendation-engagement."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The file to write. [DATA-STRATEGY.jsonl]")] = None,
    split: Annotated[
        int | None,
        typer.Option(min=0, help="Neighbours from this split's training pairs, for `llmrec evaluate`. [all]"),
    ] = None,
    max_items: Annotated[int | None, typer.Option(min=1, help="At most so many items.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling; another seed tells it otherwise.")] = 0,
    calls: Annotated[
        Path | None,
        typer.Option(help="Where finished calls are kept: a run that was stopped goes on. [OUT.calls.jsonl]"),
    ] = None,
    parallel: LlmParallelOpt = 8,
    cache: CacheOpt = Path(".cache/llmrec"),
) -> None:
    """Have a language model write a text of every item, after one of LLM-Rec's strategies."""
    from crs.llmrec.augment import augment, report_lines
    from crs.llmrec.catalogue import open_catalogue
    from crs.llmrec.prompts import GUIDED, STRATEGIES
    from crs.llmrec.splits import deal, neighbours_of

    chosen = next((each for each in STRATEGIES if each == strategy), None)
    if chosen is None:
        problem = f"no strategy is called '{strategy}'; there are {', '.join(STRATEGIES)}"
        raise typer.BadParameter(problem, param_hint="--strategy")
    catalogue = open_catalogue(data)
    dealt = None if split is None else deal(catalogue, split)
    name = f"{data.resolve().name}-{strategy}" + ("" if split is None else f"-{split}")
    out = out or Path(f"{name}.jsonl")
    with llm.opened() as model, Stages() as stages:
        report = augment(
            catalogue,
            chosen,
            model,
            out,
            calls or out.with_name(f"{out.name}.calls.jsonl"),
            neighbours=neighbours_of(catalogue, dealt, cache, stages) if chosen in GUIDED else (),
            split=split,
            max_items=max_items,
            parallel=parallel,
            seed=seed,
            progress=lambda done, total, usage: stages("items", done, total, detail=str(usage)),
        )
    for line in report_lines(report):
        say(line)
    note(f"{out}: compare it with `python -m crs llmrec evaluate --texts`")


@llmrec.command()
def evaluate(
    data: Annotated[Path, typer.Option(help=DATA_HELP)],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="PART+PART",
            help="Parts: plain, summary, neighbours, shuffled (a control) or a strategy of --texts; "
            "the first input is the base.",
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None, typer.Option(help="What `llmrec augment` wrote; may be given several times.")
    ] = None,
    n_splits: Annotated[int, typer.Option("--splits", min=1, help="How often the pairs are dealt.")] = 5,
    through: Annotated[
        Literal["tower", "ranker"], typer.Option(help="What reads the texts: LLM-Rec's tower, or our ranker.")
    ] = "tower",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each tower; of the ranker's transformer, at most.")
    ] = None,
    cache: CacheOpt = Path(".cache/llmrec"),
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """The same recommender on plain and on augmented texts: NDCG, precision and recall at 10, by split.

    Without --input: the listing, the listing with other items' texts (a control), and the listing with each
    augmented text that the data has. A run that was stopped goes on.
    """
    from crs.content import Encoder, KeptEncoder
    from crs.evaluation.record import write_record
    from crs.llmrec.augment import read_texts
    from crs.llmrec.catalogue import open_catalogue
    from crs.llmrec.experiment import run_experiment
    from crs.llmrec.inputs import default_inputs
    from crs.llmrec.report import config_of, table
    from crs.llmrec.through import ThroughRanker, ThroughTower

    system = ThroughTower.of(epochs) if through == "tower" else ThroughRanker.of(epochs)
    catalogue = open_catalogue(data)
    written: dict[str, dict[int | None, list[str]]] = {}
    for path in texts or ():
        for strategy, by_split in read_texts(path, catalogue).items():
            written.setdefault(strategy, {}).update(by_split)
    chosen = tuple(inputs or default_inputs(catalogue, written))
    encoder = KeptEncoder(Encoder(), cache / "content")
    with Stages() as stages:
        figures = run_experiment(
            catalogue, chosen, system, encoder, cache, n_splits=n_splits, written=written, progress=stages
        )
    config = config_of(catalogue, chosen, system, n_splits)
    if as_json:
        say_json({"config": config, **figures})
    else:
        for line in table(config, figures):
            say(line)
    if out is not None:
        write_record(out, config, figures)
