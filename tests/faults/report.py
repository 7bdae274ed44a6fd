"""What a fault cost the devices, as a table."""

from dataclasses import dataclass, field

from tests.faults.devices import Visit


@dataclass(frozen=True)
class Row:
    """One fault."""

    fault: str
    visits: tuple[Visit, ...]

    @property
    def text(self) -> str:
        """How many devices, and the most that one of them needed."""
        extra = max(one.extra_rounds for one in self.visits)
        lost = max(one.lost for one in self.visits)
        seen = sorted({status for one in self.visits for status in one.statuses})
        return (
            f"{len(self.visits)} devices, extra rounds at most {extra}, requests lost at most "
            f"{lost}, statuses {seen}"
        )


@dataclass
class Report:
    """The rows of one test."""

    name: str
    rows: list[Row] = field(default_factory=list)

    def add(self, fault: str, *visits: Visit) -> None:
        """Keep what a fault cost these devices."""
        self.rows.append(Row(fault, visits))

    def show(self) -> None:
        """On standard output: pytest shows it with `-s`, or when the test fails."""
        for row in self.rows:
            print(f"\n{self.name}: {row.fault}: {row.text}", end="")
