"""What a server says of itself: sums over all donors, in hundreds, and nothing of any one."""

from __future__ import annotations

from collections import Counter

__all__ = ["Counters", "in_hundreds"]


def in_hundreds(count: int) -> int:
    """Return a count of donations rounded down, so that no single one shows."""
    return count - count % 100


class Counters:
    """Sums since the server was started, in the text format of Prometheus."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._groups = 0
        self._grouped = 0
        self._failures = 0
        self.healthy = True
        """Whether the store took what it was last given."""

    def answered(self, code: str) -> None:
        """Count an answer by its code, such as ``"stored"`` or ``"wrong-length"``."""
        self._answers[code] += 1

    def group_stored(self, size: int) -> None:
        """Count reports that were made durable together."""
        self._groups += 1
        self._grouped += size
        self.healthy = True

    def store_failed(self) -> None:
        """Count a refusal of the store."""
        self._failures += 1
        self.healthy = False

    def to_text(self, round_number: int) -> str:
        """Return the sums as text, counts of answers and reports in hundreds."""
        lines = [
            "# TYPE sfumato_donation_round gauge",
            f"sfumato_donation_round {round_number}",
            "# TYPE sfumato_donation_answers_total counter",
            *(
                f'sfumato_donation_answers_total{{code="{code}"}} {in_hundreds(count)}'
                for code, count in sorted(self._answers.items())
            ),
            "# TYPE sfumato_donation_store_failures_total counter",
            f"sfumato_donation_store_failures_total {self._failures}",
            "# TYPE sfumato_donation_reports_per_group gauge",
            f"sfumato_donation_reports_per_group {self._grouped // max(1, self._groups)}",
        ]
        return "\n".join(lines) + "\n"
