"""The charts of what was learned: scores with intervals, ROC, precision-recall, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.release.report import charts
from sfumato.release.report.svg import Chart, draw
from sfumato.release.report.wording import listing, score, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.evaluation import Learned

__all__ = ["curve_charts", "score_chart", "training_chart"]

_MOST_CLASSES = 4  # of a target with many classes, so many get curves


def score_chart(
    results: Sequence[Learned], versions: Mapping[str, int], key: str, title: str
) -> Chart | None:
    """Return a score with its interval for each version, where the test rows are real.

    Parameters
    ----------
    results
        Of all versions.
    versions
        Each version's name and position.
    key, title
        The score's key in ``Learned.scores``, and its name.
    """
    records: list[dict[str, Any]] = []
    several = len({result.model for result in results}) > 1
    for result in results:
        figure = result.scores.get(key)
        if result.rows_test_made or figure is None or figure.value is None:
            continue
        low, high = figure.interval or (None, None)
        model = f", {result.model}" if several else ""
        smote = ", with SMOTE" if result.protocol == "honest-smote" else ""
        records.append(
            {
                "row": f"{result.version}{model}{smote}",
                "version": result.version,
                "value": figure.value,
                "low": low,
                "high": high,
            }
        )
    if not records:
        return None
    rows = [str(record["row"]) for record in records]
    words = [f"{record['row']} {score(record['value'])}" for record in records]
    return draw(
        charts.interval_dots(records, versions, rows, title),
        f"score-{key.replace('_', '-')}",
        f"{title} of each version on real, unseen people, with 95% intervals",
        f"{listing(words, most=12)}.",
    )


def curve_charts(
    place: str, title: str, results: Sequence[Learned], versions: Mapping[str, int]
) -> tuple[tuple[str, Chart], ...]:
    """Return ROC and precision-recall curves with their headings.

    Parameters
    ----------
    place
        Tells these charts from others of the page.
    title
        The model and the protocol.
    results
        One per version, by the same model and protocol.
    versions
        Each shown version's name and position.
    """
    drawn = []
    for kind in ("roc", "precision_recall"):
        classes = dict.fromkeys(curve.of for result in results for curve in getattr(result, kind))
        for number, of in enumerate(list(classes)[:_MOST_CLASSES]):
            name = f"{kind.replace('_', '-')}-{place}-{number}"
            heading = "ROC curve" if kind == "roc" else "Precision and recall"
            if len(classes) > 1:
                heading = f"{heading}: {shorten(of, 30)}"
            drawn.append(
                (heading, _curve(kind, of, name, f"{heading}, {title}", results, versions))
            )
    return tuple(drawn)


def training_chart(
    place: str, title: str, results: Sequence[Learned], versions: Mapping[str, int]
) -> Chart | None:
    """Return losses by epoch, a panel for each version; None where nothing has epochs.

    Parameters are those of :func:`curve_charts`.
    """
    records = [
        {"version": result.version, "part": part, "epoch": epoch.epoch, "loss": loss}
        for result in results
        for epoch in result.history
        for part, loss in (("training", epoch.train_loss), ("validation", epoch.validation_loss))
    ]
    if not records:
        return None
    words = [
        f"{result.version} {result.epochs} epochs, best {result.best_epoch}"
        for result in results
        if result.history
    ]
    chart = charts.training(records, versions)
    return draw(chart, f"training-{place}", f"Loss by epoch, {title}", f"{listing(words)}.")


def _curve(
    kind: str,
    of: str,
    name: str,
    title: str,
    results: Sequence[Learned],
    versions: Mapping[str, int],
) -> Chart:
    records: list[dict[str, Any]] = [
        {"version": result.version, "x": x, "y": y, "order": order}
        for result in results
        for curve in getattr(result, kind)
        if curve.of == of
        for order, (x, y) in enumerate(zip(curve.x, curve.y, strict=True))
    ]
    key = "auc" if kind == "roc" else "average_precision"
    if kind == "roc":
        axes = (
            "false alarms among the others",
            f"found among {shorten(f'{results[0].target} = {of}', 32)}",
        )
        chance = [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]
    else:
        axes = ("recall", "precision")
        guess = _guess(results) if len(records) else 0.0
        chance = [{"x": 0.0, "y": guess}, {"x": 1.0, "y": guess}]
    words = [
        f"{result.version} {score(result.scores[key].value)}"
        for result in results
        if key in result.scores
    ]
    described = f"{'Area under it' if kind == 'roc' else 'Average precision'}: {listing(words)}."
    return draw(charts.curves(records, versions, *axes, chance), name, title, described)


def _guess(results: Sequence[Learned]) -> float:
    """Return the average precision of a guess: the share of people with the outcome."""
    figure = results[0].scores.get("average_precision")
    return 0.0 if figure is None or figure.baseline is None else figure.baseline
