"""Metrics as Prometheus reads them."""

from ogrom.metrics import Histogram, Metric, Sample, sample, text


def test_text_has_help_type_and_labels_escaped():
    """The text format, version 0.0.4."""
    metric = Metric("a_total", "counter", "What\nit is.", (sample(2, path='a"b\\c'), sample(0.5)))
    assert text([metric]) == (
        '# HELP a_total What\\nit is.\n# TYPE a_total counter\na_total{path="a\\"b\\\\c"} 2\na_total 0.5\n'
    )


def test_metrics_of_one_name_are_put_together():
    """Two pieces tell of the same name: one HELP, both samples."""
    one = Metric("up", "gauge", "Up.", (sample(1, source="a"),))
    two = Metric("up", "gauge", "Up.", (sample(0, source="b"),))
    assert text([one, two]).splitlines()[2:] == ['up{source="a"} 1', 'up{source="b"} 0']


def test_a_histogram_counts_into_cumulated_buckets():
    """A value equal to a bound belongs to it (le); what is above all bounds is in +Inf."""
    histogram = Histogram((0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        histogram.observe(value)
    assert histogram.count == 3
    assert list(histogram.samples(a="b")) == [
        Sample(1, (("a", "b"), ("le", "0.1")), "_bucket"),
        Sample(2, (("a", "b"), ("le", "1")), "_bucket"),
        Sample(3, (("a", "b"), ("le", "+Inf")), "_bucket"),
        Sample(7.6, (("a", "b"),), "_sum"),
        Sample(3, (("a", "b"),), "_count"),
    ]
