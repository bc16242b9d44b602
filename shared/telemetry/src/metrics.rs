//! Instruments, and the page that Prometheus reads.

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder,
};

/// All instruments of one relay. Cheap to clone; clones show the same page.
#[derive(Clone, Debug)]
pub struct Registry(prometheus::Registry);

/// A number that only rises.
#[derive(Clone, Debug)]
pub struct Counter(IntCounter);

/// A counter for each of a fixed set of words.
#[derive(Clone, Debug)]
pub struct CounterBy(HashMap<&'static str, IntCounter>);

/// A number that rises and falls.
#[derive(Clone, Debug)]
pub struct Gauge(IntGauge);

/// A gauge for each of a fixed set of words.
#[derive(Clone, Debug)]
pub struct GaugeBy(HashMap<&'static str, IntGauge>);

/// How often values fell below given bounds.
#[derive(Clone, Debug)]
pub struct Histogram(prometheus::Histogram);

/// A histogram for each of a fixed set of words.
#[derive(Clone, Debug)]
pub struct HistogramBy(HashMap<&'static str, prometheus::Histogram>);

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A page with the process's own figures (CPU, memory, descriptors) on it.
    pub fn new() -> Self {
        let registry = Self(prometheus::Registry::new());
        registry.add(prometheus::process_collector::ProcessCollector::for_self());
        registry
    }

    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let made = IntCounter::new(name, help).unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        Counter(made)
    }

    /// `words`: every value that the label can have.
    pub fn counter_by(
        &self,
        name: &str,
        help: &str,
        label: &str,
        words: &[&'static str],
    ) -> CounterBy {
        let made = IntCounterVec::new(Opts::new(name, help), &[label]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        CounterBy(
            words
                .iter()
                .map(|word| (*word, made.with_label_values(&[word])))
                .collect(),
        )
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let made = IntGauge::new(name, help).unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        Gauge(made)
    }

    /// `words`: every value that the label can have.
    pub fn gauge_by(&self, name: &str, help: &str, label: &str, words: &[&'static str]) -> GaugeBy {
        let made = IntGaugeVec::new(Opts::new(name, help), &[label]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        GaugeBy(
            words
                .iter()
                .map(|word| (*word, made.with_label_values(&[word])))
                .collect(),
        )
    }

    /// `bounds`: the upper bounds of the buckets, rising; +Inf is added.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        let made = prometheus::Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(bounds.to_vec()),
        );
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        Histogram(made)
    }

    /// `label` is the label's name and every value that it can have.
    pub fn histogram_by(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
        label: (&str, &[&'static str]),
    ) -> HistogramBy {
        let made = prometheus::HistogramVec::new(
            HistogramOpts::new(name, help).buckets(bounds.to_vec()),
            &[label.0],
        );
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        HistogramBy(
            label
                .1
                .iter()
                .map(|word| (*word, made.with_label_values(&[word])))
                .collect(),
        )
    }

    /// The page, in Prometheus' text format 0.0.4.
    pub fn page(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.0.gather())
            .unwrap_or_default()
    }

    fn add(&self, collector: impl Collector + 'static) {
        if let Err(fault) = self.0.register(Box::new(collector)) {
            tracing::error!(%fault, "an instrument is not shown: its name is there already");
        }
    }
}

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.inc_by(amount);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl CounterBy {
    /// Counts under `word`; a word outside the set that was given is not counted.
    pub fn add(&self, word: &str, amount: u64) {
        if let Some(counter) = self.0.get(word) {
            counter.inc_by(amount);
        }
    }

    pub fn get(&self, word: &str) -> u64 {
        self.0.get(word).map_or(0, IntCounter::get)
    }
}

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    pub fn add(&self, difference: i64) {
        self.0.add(difference);
    }

    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

impl GaugeBy {
    pub fn set(&self, word: &str, value: i64) {
        if let Some(gauge) = self.0.get(word) {
            gauge.set(value);
        }
    }
}

impl Histogram {
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

impl HistogramBy {
    pub fn observe(&self, word: &str, value: f64) {
        if let Some(histogram) = self.0.get(word) {
            histogram.observe(value);
        }
    }
}

#[expect(
    clippy::panic,
    reason = "a name in our own code that Prometheus refuses; seen at the first start"
)]
fn refuse(name: &str, fault: &prometheus::Error) -> ! {
    panic!("metric {name}: {fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_counted() {
        let registry = Registry::new();
        registry
            .counter("postrider_test_mails_total", "Mails.")
            .add(3);
        let by = registry.counter_by("postrider_test_ends_total", "Ends.", "state", &["a", "b"]);
        by.add("a", 2);
        by.add("unknown", 9);
        let page = registry.page();
        assert!(page.contains("postrider_test_mails_total 3"), "{page}");
        assert!(
            page.contains("postrider_test_ends_total{state=\"a\"} 2"),
            "{page}"
        );
        assert!(
            page.contains("postrider_test_ends_total{state=\"b\"} 0"),
            "{page}"
        );
        assert!(!page.contains("unknown"), "{page}");
    }
}
