//! What the same mail costs by the other doors: by SMTP, which is always under TLS, and by HTTP
//! under TLS.

use super::{Course, Server, Size, Speed};
use crate::report::{Found, Verdict};
use crate::source::Way;

/// The most that SMTP may cost over HTTP.
const MOST: f64 = 1.15;

impl Speed {
    /// Mail of one size, next to what it has just cost by HTTP.
    pub(super) async fn by_smtp(
        &self,
        server: &Server<'_>,
        size: &Size,
        course: &mut Course,
    ) -> anyhow::Result<()> {
        let name = format!("{} by SMTP", size.name);
        let how = (Some(Way::Submission), size, name.as_str());
        course.straight(self, server, how).await?;
        let (figures, verdicts) = (&mut course.figures, &mut course.verdicts);
        let ratio = over(|name| figures.get(name), (&name, &size.name));
        figures.set(format!("{name}: CPU over HTTP's"), ratio);
        verdicts.push(Verdict::figure(
            &format!("{name}: at most 15 % more CPU than by HTTP"),
            ratio <= MOST,
            format!("{ratio:.2} times"),
        ));
        Ok(())
    }

    pub(super) async fn by_smtp_one_by_one(
        &self,
        server: &Server<'_>,
        course: &mut Course,
    ) -> anyhow::Result<()> {
        let how = (Some(Way::Submission), "idle by SMTP");
        course.one_by_one(self, server, how).await?;
        let p99 = course.figures.get("idle by SMTP: acknowledged ms p99");
        course.verdicts.push(Verdict::figure(
            "acknowledged by SMTP within 100 ms (p99)",
            p99 < 100.0,
            format!("{p99:.1} ms"),
        ));
        Ok(())
    }

    /// All sizes by HTTP under TLS, next to what they cost by SMTP: like with like.
    pub(super) async fn by_https(
        &self,
        server: &Server<'_>,
        found: &mut Found,
    ) -> anyhow::Result<()> {
        let mut course = Course {
            phase: PHASES,
            ..Course::default()
        };
        for size in &self.sizes {
            let name = format!("{} by HTTPS", size.name);
            let how = (Some(Way::Https), size, name.as_str());
            course.straight(self, server, how).await?;
        }
        found.figures.merge(&course.figures, "");
        let figures = &mut found.figures;
        for size in &self.sizes {
            let (smtp, https) = (
                format!("{} by SMTP", size.name),
                format!("{} by HTTPS", size.name),
            );
            let ratio = over(|name| figures.get(name), (&smtp, &https));
            figures.set(format!("{smtp}: CPU over HTTPS'"), ratio);
            found.verdicts.push(Verdict::figure(
                &format!("{smtp}: at most 15 % more CPU than by HTTPS"),
                ratio <= MOST,
                format!("{ratio:.2} times"),
            ));
        }
        found.verdicts.push(Verdict::promise(
            "all that was taken by HTTPS arrived",
            !course.lacks,
            format!("{} sizes", self.sizes.len()),
        ));
        Ok(())
    }
}

// Above the phases of the turns before it.
const PHASES: u16 = 1_000;

// CPU of the server and its database.
fn over(figure: impl Fn(&str) -> f64, (of, to): (&str, &str)) -> f64 {
    let cpu = |name: &str| {
        figure(&format!("{name}: CPU µs/message"))
            + figure(&format!("{name}: database CPU µs/message"))
    };
    cpu(of) / cpu(to)
}
