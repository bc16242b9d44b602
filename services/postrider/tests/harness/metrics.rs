//! The metrics page, read as Prometheus does.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;

/// A page.
pub(crate) struct Page {
    samples: Vec<Sample>,
    kinds: BTreeMap<String, String>,
    pub(crate) text: String,
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// What a metric is: its type, its labels and all the words they have on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
}

impl Page {
    pub(crate) async fn of(place: &Place) -> Self {
        let answer = place.metrics.get("/metrics").await;
        assert_eq!(answer.status, 200);
        Self::parse(answer.text())
    }

    pub(crate) fn parse(text: String) -> Self {
        let (mut samples, mut kinds) = (Vec::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                samples.push(Sample::parse(line));
            }
        }
        Self {
            samples,
            kinds,
            text,
        }
    }

    /// The sum over all samples of this name that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            let mut labels = labels.iter();
            sample.name == name
                && labels.all(|(label, word)| sample.labels.get(*label).is_some_and(|w| w == word))
        };
        let found: Vec<_> = self.samples.iter().filter(has).collect();
        assert!(!found.is_empty(), "no {name} {labels:?} in {}", self.text);
        found.iter().map(|sample| sample.value).sum()
    }

    /// A count.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels).to_string().parse().unwrap()
    }

    /// All metrics, by name; a histogram's parts are one, and its bounds no label.
    pub(crate) fn families(&self) -> BTreeMap<String, Family> {
        let mut families = BTreeMap::<String, Family>::new();
        for sample in &self.samples {
            let (name, kind) = self.family(&sample.name);
            let family = families.entry(name.to_owned()).or_default();
            kind.clone_into(&mut family.kind);
            let labels = sample.labels.iter().filter(|(label, _)| *label != "le");
            for (label, word) in labels {
                let words = family.labels.entry(label.clone()).or_default();
                words.insert(word.clone());
            }
        }
        families
    }

    fn family<'a>(&'a self, sample: &'a str) -> (&'a str, &'a str) {
        let parts = ["_bucket", "_sum", "_count"].iter();
        let whole = parts
            .filter_map(|part| sample.strip_suffix(part))
            .find(|name| {
                self.kinds
                    .get(*name)
                    .is_some_and(|kind| kind == "histogram")
            });
        let name = whole.unwrap_or(sample);
        (name, self.kinds.get(name).unwrap())
    }
}

impl Sample {
    // No word of ours has a quote, a comma or a brace in it.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        let label = |pair: &str| {
            let (label, word) = pair.split_once('=').unwrap();
            (label.to_owned(), word.trim_matches('"').to_owned())
        };
        Self {
            name: name.to_owned(),
            labels: labels.split_terminator(',').map(label).collect(),
            value: value.parse().unwrap(),
        }
    }
}
