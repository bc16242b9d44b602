//! Instruments, and the page that Prometheus reads.

mod by;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::Metric;
use prometheus::{HistogramOpts, IntCounter, IntGauge, Opts, TextEncoder};

pub use by::{CounterBy, CounterBy2, GaugeBy, GaugeBy2, HistogramBy, SecondsBy};

/// All instruments of one relay. Cheap to clone; clones show the same page.
#[derive(Clone)]
pub struct Registry {
    shown: prometheus::Registry,
    before_page: Arc<Mutex<Vec<Reading>>>,
}

type Reading = Box<dyn Fn() + Send + Sync>;

/// A number that only rises.
#[derive(Clone, Debug)]
pub struct Counter(IntCounter);

/// A number that rises and falls.
#[derive(Clone, Debug)]
pub struct Gauge(IntGauge);

/// As `Gauge`, with fractions: seconds.
#[derive(Clone, Debug)]
pub struct FloatGauge(prometheus::Gauge);

/// How often values fell below given bounds.
#[derive(Clone, Debug)]
pub struct Histogram(prometheus::Histogram);

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.shown).finish()
    }
}

impl Registry {
    /// A page with the process's own figures (CPU, memory, descriptors) on it.
    pub fn new() -> Self {
        let registry = Self {
            shown: prometheus::Registry::new(),
            before_page: Arc::default(),
        };
        registry.add(prometheus::process_collector::ProcessCollector::for_self());
        registry
    }

    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let made = IntCounter::new(name, help).unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        Counter(made)
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let made = IntGauge::new(name, help).unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        Gauge(made)
    }

    pub fn float_gauge(&self, name: &str, help: &str) -> FloatGauge {
        let made = prometheus::Gauge::new(name, help).unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        FloatGauge(made)
    }

    /// `bounds`: the upper bounds of the buckets, rising; +Inf is added.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let made = prometheus::Histogram::with_opts(options);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        Histogram(made)
    }

    /// A gauge that is 1 and says something in its labels, as `postrider_build_info` does.
    pub fn fact(&self, name: &str, help: &str, labels: &[(&str, &str)]) {
        let mut options = Opts::new(name, help);
        for (label, value) in labels {
            options = options.const_label(*label, *value);
        }
        let made = IntGauge::with_opts(options).unwrap_or_else(|fault| refuse(name, &fault));
        made.set(1);
        self.add(made);
    }

    /// Does this each time before the page is written: sets gauges whose figures are cheap to read
    /// and change too often to be set at each change.
    pub fn before_page(&self, read: impl Fn() + Send + Sync + 'static) {
        self.before_page.lock().push(Box::new(read));
    }

    /// The page, in Prometheus' text format 0.0.4.
    pub fn page(&self) -> String {
        for read in self.before_page.lock().iter() {
            read();
        }
        TextEncoder::new()
            .encode_to_string(&self.shown.gather())
            .unwrap_or_default()
    }

    /// What the counters of this name come to, of those that have each of these labels.
    pub fn total(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let families = self.shown.gather();
        let family = families.iter().find(|family| family.name() == name);
        let all = family.map_or(&[][..], |family| family.get_metric());
        let has = |metric: &Metric, (name, value): &(&str, &str)| {
            let mut given = metric.get_label().iter();
            given.any(|label| label.name() == *name && label.value() == *value)
        };
        let wanted = |metric: &&Metric| labels.iter().all(|label| has(metric, label));
        let values = all.iter().filter(wanted);
        // Counters of ours are whole numbers below 2⁵³.
        let sum: f64 = values.map(|metric| metric.get_counter().get_value()).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sum of whole numbers that are not negative"
        )]
        {
            sum as u64
        }
    }

    fn add(&self, collector: impl Collector + 'static) {
        if let Err(fault) = self.shown.register(Box::new(collector)) {
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

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Sets it to how many there are.
    pub fn count(&self, count: usize) {
        self.0.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn add(&self, difference: i64) {
        self.0.add(difference);
    }

    pub fn get(&self) -> i64 {
        self.0.get()
    }

    /// One more until what is given back is dropped.
    pub fn hold(&self) -> Held {
        self.0.inc();
        Held(self.0.clone())
    }
}

/// One of those that a gauge counts.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct Held(IntGauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl FloatGauge {
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Sets it to a span, in seconds.
    pub fn span(&self, span: Duration) {
        self.0.set(span.as_secs_f64());
    }
}

impl Histogram {
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Observes a span, in seconds.
    pub fn span(&self, span: Duration) {
        self.0.observe(span.as_secs_f64());
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

    crate::label!(End is "end" { Good = "good", Bad = "bad" });
    crate::label!(Door is "door" { Front = "front", Back = "back" });

    #[test]
    fn the_page_shows_what_was_counted() {
        let registry = Registry::new();
        let mails = registry.counter("postrider_test_mails_total", "Mails.");
        mails.add(3);
        let ends = registry.counter_by::<End>("postrider_test_ends_total", "Ends.");
        ends.add(End::Good, 2);
        let both = registry.counter_by2::<End, Door>("postrider_test_both_total", "Both.");
        both.add(End::Bad, Door::Back, 5);
        let spans = registry.histogram_by::<Door>("postrider_test_seconds", "Spans.", &[0.5, 1.0]);
        spans.span(Door::Front, Duration::from_millis(700));
        let page = registry.page();
        for line in [
            "postrider_test_mails_total 3",
            "postrider_test_ends_total{end=\"good\"} 2",
            // What has not happened yet is 0, not absent.
            "postrider_test_ends_total{end=\"bad\"} 0",
            "postrider_test_both_total{door=\"back\",end=\"bad\"} 5",
            "postrider_test_both_total{door=\"front\",end=\"bad\"} 0",
            "postrider_test_seconds_bucket{door=\"front\",le=\"0.5\"} 0",
            "postrider_test_seconds_bucket{door=\"front\",le=\"1\"} 1",
            "postrider_test_seconds_count{door=\"back\"} 0",
        ] {
            assert!(page.lines().any(|one| one == line), "{line}: {page}");
        }
        both.add(End::Bad, Door::Front, 2);
        let total = |labels: &[(&str, &str)]| registry.total("postrider_test_both_total", labels);
        assert_eq!(total(&[]), 7);
        assert_eq!(total(&[("end", "bad"), ("door", "front")]), 2);
        assert_eq!(total(&[("end", "good")]), 0);
        assert_eq!(registry.total("postrider_test_unheard_total", &[]), 0);
    }

    #[test]
    fn gauges_are_read_when_the_page_is() {
        let registry = Registry::new();
        let gauge = registry.gauge("postrider_test_things", "Things.");
        let things = Arc::new(Mutex::new(1));
        let (read, seen) = (gauge.clone(), Arc::clone(&things));
        registry.before_page(move || read.set(*seen.lock()));
        assert!(registry.page().contains("postrider_test_things 1"));
        *things.lock() = 2;
        assert!(registry.page().contains("postrider_test_things 2"));
        let held = gauge.hold();
        assert_eq!(gauge.get(), 3);
        drop(held);
        assert_eq!(gauge.get(), 2);
    }
}
