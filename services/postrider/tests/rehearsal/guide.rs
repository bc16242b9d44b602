//! The guide's first page, as a person walks it: its blocks marked `walk`, in their order, each typed
//! at the machine that it is for, with this network's addresses in the place of the guide's.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use super::network::{Machine, Running};
use super::scene::Scene;

const PAGE: &str = include_str!("../../../../infra/guide/operator.md");

/// One block.
struct Step {
    machine: Machine,
    lines: String,
}

/// The page, open at the next step.
pub(crate) struct Guide {
    steps: VecDeque<Step>,
    /// What the reader puts in the place of the guide's words.
    own: Vec<(&'static str, String)>,
    /// Where files lie that steps hand on.
    desk: PathBuf,
    /// When it was opened.
    began: Instant,
}

impl Guide {
    pub(crate) fn open(scene: &Scene) -> Self {
        let (network, desk) = (&scene.network, scene.desk.clone());
        let mut steps = VecDeque::new();
        // What stands between fences is every second part.
        for part in PAGE.split("```").skip(1).step_by(2) {
            let (head, lines) = part.split_once('\n').unwrap();
            let Some((_, place)) = head.split_once("walk") else {
                continue;
            };
            let machine = match place {
                "" => &network.relay,
                " shop" => &network.shop,
                _ => panic!("whose machine is {place:?} in {head:?}?"),
            };
            steps.push_back(Step {
                machine: machine.clone(),
                lines: lines.to_owned(),
            });
        }
        let surroundings = format!("--ip {}", scene.surroundings().join(" "));
        let own = vec![
            ("/var/lib/postrider", scene.operator.data().to_owned()),
            // This network is closed, and has a resolver of its own.
            ("--ip 192.0.2.1", surroundings),
        ];
        Self {
            steps,
            own,
            desk,
            began: Instant::now(),
        }
    }

    /// From here on `word` in the page stands for this.
    pub(crate) fn put(&mut self, word: &'static str, value: &str) {
        self.own.push((word, value.to_owned()));
    }

    fn next(&mut self, about: &str) -> Step {
        let step = self.steps.pop_front();
        let mut step = step.unwrap_or_else(|| panic!("the page ends before {about:?}"));
        let lines = &step.lines;
        assert!(lines.contains(about), "{about:?} comes after {lines}");
        for (word, value) in &self.own {
            step.lines = step.lines.replace(word, value);
        }
        step
    }

    /// Types the next step, which is about this; gives what it said at its good end.
    pub(crate) fn types(&mut self, about: &str) -> String {
        let step = self.next(about);
        let began = Instant::now();
        let done = step.machine.typed(&step.lines, &self.desk);
        let (took, all) = (began.elapsed(), self.began.elapsed());
        eprintln!("{about}: {took:.2?}, {all:.1?} since the page was opened");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let fault = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}{said}{fault}", step.lines);
        said
    }

    /// Types the next step, which goes on.
    pub(crate) fn starts(&mut self, about: &str) -> Running {
        let step = self.next(about);
        let words = ["bash", "-c", &format!("exec {}", step.lines)];
        step.machine.start(&words, &self.log(about))
    }

    fn log(&self, about: &str) -> PathBuf {
        self.desk.join(about.replace(' ', "-"))
    }

    /// Whether the step that goes on has said this.
    pub(crate) fn has_said(&self, about: &str, words: &str) -> bool {
        std::fs::read_to_string(self.log(about)).is_ok_and(|said| said.contains(words))
    }

    /// Whether each step was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.steps.is_empty()
    }
}
