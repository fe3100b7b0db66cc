import pytest

from tests.unit.running import Run


@pytest.fixture
def run(capsys: "pytest.CaptureFixture[str]") -> Run:
    return Run(capsys)
