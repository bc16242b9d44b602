//! What the same mail costs by SMTP.

use super::{Server, Speed};
use crate::report::{Figures, Verdict, say};
use crate::source::Way;

impl Speed {
    /// The same mail through the other door, next to what it cost through the first.
    pub(super) async fn by_smtp(
        &self,
        server: &Server<'_>,
        mut phase: u16,
        figures: &mut Figures,
        verdicts: &mut Vec<Verdict>,
    ) -> anyhow::Result<bool> {
        let mut is_whole = true;
        for size in &self.sizes {
            let (name, messages) = (format!("{} by SMTP", size.name), size.messages);
            for (messages, counts) in [(messages / 10, false), (messages, true)] {
                let mail = size.mail(self.clients, 0.0);
                let turn = server
                    .pass_by(Some(Way::Submission), mail, phase, messages)
                    .await?;
                phase += 1;
                is_whole &= turn.is_whole;
                if counts {
                    turn.note(figures, &name);
                    say(&format!("  {name}: {:?}", turn.told));
                }
            }
            let cpu = |name: &str| figures.get(&format!("{name}: CPU µs/message"));
            let ratio = cpu(&name) / cpu(&size.name);
            figures.set(format!("{name}: CPU over HTTP's"), ratio);
            verdicts.push(Verdict::figure(
                &format!("{name}: at most 15 % more CPU than by HTTP"),
                ratio <= 1.15,
                format!("{ratio:.2} times"),
            ));
        }
        // One at a time: as programs send, and as they wait for the answer.
        if let Some(size) = self.sizes.first() {
            let mail = size.mail(1, self.idle_rate);
            let turn = server
                .pass_by(Some(Way::Submission), mail, phase, self.idle)
                .await?;
            is_whole &= turn.is_whole;
            turn.note_spreads(figures, "idle by SMTP");
            let p99 = figures.get("idle by SMTP: acknowledged ms p99");
            verdicts.push(Verdict::figure(
                "acknowledged by SMTP within 100 ms (p99)",
                p99 < 100.0,
                format!("{p99:.1} ms"),
            ));
        }
        Ok(is_whole)
    }
}
