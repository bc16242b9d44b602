//! Instruments with labels. All of a family are made at once, so that what has not happened yet
//! shows as 0, and one is found by its label's place.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    CounterVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use super::{Registry, refuse};
use crate::Label;

/// A counter for each word of a label.
#[derive(Clone, Debug)]
pub struct CounterBy<L>(Arc<[IntCounter]>, PhantomData<L>);

/// A counter for each pair of two labels' words.
#[derive(Clone, Debug)]
pub struct CounterBy2<A, B>(Arc<[IntCounter]>, PhantomData<(A, B)>);

/// A sum of spans for each word of a label, in seconds.
#[derive(Clone, Debug)]
pub struct SecondsBy<L>(Arc<[prometheus::Counter]>, PhantomData<L>);

/// A gauge for each word of a label.
#[derive(Clone, Debug)]
pub struct GaugeBy<L>(Arc<[IntGauge]>, PhantomData<L>);

/// A gauge for each pair of two labels' words that there is.
#[derive(Clone, Debug)]
pub struct GaugeBy2<A, B>(Arc<[Option<IntGauge>]>, PhantomData<(A, B)>);

/// A histogram for each word of a label.
#[derive(Clone, Debug)]
pub struct HistogramBy<L>(Arc<[prometheus::Histogram]>, PhantomData<L>);

impl Registry {
    pub fn counter_by<L: Label>(&self, name: &str, help: &str) -> CounterBy<L> {
        let made = IntCounterVec::new(Opts::new(name, help), &[L::NAME]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        let all = L::ALL.iter();
        let each = all.map(|label| made.with_label_values(&[label.word()]));
        CounterBy(each.collect(), PhantomData)
    }

    pub fn counter_by2<A: Label, B: Label>(&self, name: &str, help: &str) -> CounterBy2<A, B> {
        let made = IntCounterVec::new(Opts::new(name, help), &[A::NAME, B::NAME]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        let each = pairs::<A, B>().map(|(a, b)| made.with_label_values(&[a.word(), b.word()]));
        CounterBy2(each.collect(), PhantomData)
    }

    pub fn seconds_by<L: Label>(&self, name: &str, help: &str) -> SecondsBy<L> {
        let made = CounterVec::new(Opts::new(name, help), &[L::NAME]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        let all = L::ALL.iter();
        let each = all.map(|label| made.with_label_values(&[label.word()]));
        SecondsBy(each.collect(), PhantomData)
    }

    pub fn gauge_by<L: Label>(&self, name: &str, help: &str) -> GaugeBy<L> {
        let made = IntGaugeVec::new(Opts::new(name, help), &[L::NAME]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        let all = L::ALL.iter();
        let each = all.map(|label| made.with_label_values(&[label.word()]));
        GaugeBy(each.collect(), PhantomData)
    }

    /// `exists`: which pairs there are.
    pub fn gauge_by2<A: Label, B: Label>(
        &self,
        name: &str,
        help: &str,
        exists: impl Fn(A, B) -> bool,
    ) -> GaugeBy2<A, B> {
        let made = IntGaugeVec::new(Opts::new(name, help), &[A::NAME, B::NAME]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        let each = pairs::<A, B>().map(|(a, b)| {
            let words = [a.word(), b.word()];
            exists(a, b).then(|| made.with_label_values(&words))
        });
        GaugeBy2(each.collect(), PhantomData)
    }

    /// `bounds`: the upper bounds of the buckets, rising; +Inf is added.
    pub fn histogram_by<L: Label>(&self, name: &str, help: &str, bounds: &[f64]) -> HistogramBy<L> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let made = HistogramVec::new(options, &[L::NAME]);
        let made = made.unwrap_or_else(|fault| refuse(name, &fault));
        self.add(made.clone());
        let all = L::ALL.iter();
        let each = all.map(|label| made.with_label_values(&[label.word()]));
        HistogramBy(each.collect(), PhantomData)
    }
}

fn pairs<A: Label, B: Label>() -> impl Iterator<Item = (A, B)> {
    let second = |a: &'static A| B::ALL.iter().map(move |b| (*a, *b));
    A::ALL.iter().flat_map(second)
}

// As `pairs` counts them.
fn place<A: Label, B: Label>(a: A, b: B) -> usize {
    a.place() * B::ALL.len() + b.place()
}

impl<L: Label> CounterBy<L> {
    pub fn add(&self, label: L, amount: u64) {
        if let Some(counter) = self.0.get(label.place()) {
            counter.inc_by(amount);
        }
    }

    pub fn get(&self, label: L) -> u64 {
        self.0.get(label.place()).map_or(0, IntCounter::get)
    }
}

impl<A: Label, B: Label> CounterBy2<A, B> {
    pub fn add(&self, a: A, b: B, amount: u64) {
        if let Some(counter) = self.0.get(place(a, b)) {
            counter.inc_by(amount);
        }
    }

    pub fn get(&self, a: A, b: B) -> u64 {
        self.0.get(place(a, b)).map_or(0, IntCounter::get)
    }
}

impl<L: Label> SecondsBy<L> {
    pub fn add(&self, label: L, span: Duration) {
        if let Some(sum) = self.0.get(label.place()) {
            sum.inc_by(span.as_secs_f64());
        }
    }
}

impl<L: Label> GaugeBy<L> {
    pub fn set(&self, label: L, value: i64) {
        if let Some(gauge) = self.0.get(label.place()) {
            gauge.set(value);
        }
    }

    /// Sets it to how many there are.
    pub fn count(&self, label: L, count: usize) {
        if let Some(gauge) = self.0.get(label.place()) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

impl<A: Label, B: Label> GaugeBy2<A, B> {
    /// Sets it to how many there are.
    pub fn count(&self, a: A, b: B, count: usize) {
        if let Some(Some(gauge)) = self.0.get(place(a, b)) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

impl<L: Label> HistogramBy<L> {
    pub fn observe(&self, label: L, value: f64) {
        if let Some(histogram) = self.0.get(label.place()) {
            histogram.observe(value);
        }
    }

    /// Observes a span, in seconds.
    pub fn span(&self, label: L, span: Duration) {
        self.observe(label, span.as_secs_f64());
    }
}
