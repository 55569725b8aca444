"""polarfrost: Mondrian on Polars; publishes ranges and sets, one line a class.

It imports pyspark whatever is asked of it; modules without contents stand in for it, as nothing
here runs on Spark.
"""

import sys
from types import ModuleType
from unittest.mock import MagicMock

for name in ("pyspark", "pyspark.sql", "pyspark.sql.functions", "pyspark.sql.types"):
    sys.modules[name] = ModuleType(name)
sys.modules["pyspark.sql.functions"].pandas_udf = MagicMock()
sys.modules["pyspark.sql.functions"].PandasUDFType = MagicMock()
sys.modules["pyspark.sql"].DataFrame = type("DataFrame", (), {})

import polars as pl  # noqa: E402
from job import Job, run  # noqa: E402
from polarfrost import mondrian_k_anonymity  # noqa: E402


def work(job: Job) -> None:
    kept = [*job.quasi, job.sensitive]
    texts = {name: pl.String for name in kept if name not in job.numbers}
    frame = pl.read_csv(job.input, columns=kept, schema_overrides=texts)
    mondrian_k_anonymity(
        frame,
        quasi_identifiers=job.quasi,
        sensitive_column=job.sensitive,
        k=job.k,
        categorical=job.categories,
    ).write_csv(job.output)


if __name__ == "__main__":
    run(work)
