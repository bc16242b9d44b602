//! The port of reports: sums over the counts of an hour, a day, a year. No message is looked at.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{Provider, TenantId, Timestamp, VendorId};
use postrider_store::{Counts, Periods, Refused, Reports, StoreError, Times, Traffic, Whose};
use sqlx::FromRow;
use uuid::Uuid;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::store::bounded;

#[async_trait]
impl Reports for PostgresStore {
    async fn total(&self, span: &Range<Timestamp>, whose: &Whose) -> Result<Traffic, StoreError> {
        self.write_counts().await?;
        Ok(bounded(self.sum(Periods::of(span), whose)).await?)
    }

    async fn by_tenant(
        &self,
        span: &Range<Timestamp>,
        whose: &Whose,
        most: u32,
    ) -> Result<(Vec<(TenantId, Traffic)>, u64), StoreError> {
        self.write_counts().await?;
        Ok(bounded(self.sum_tenants(Periods::of(span), whose, most)).await?)
    }

    async fn by_vendor(
        &self,
        span: &Range<Timestamp>,
        whose: &Whose,
        most: u32,
    ) -> Result<(Vec<(Option<VendorId>, Traffic)>, u64), StoreError> {
        self.write_counts().await?;
        Ok(bounded(self.sum_vendors(Periods::of(span), whose, most)).await?)
    }

    async fn by_provider(
        &self,
        span: &Range<Timestamp>,
    ) -> Result<Vec<(Provider, Traffic)>, StoreError> {
        self.write_counts().await?;
        Ok(bounded(self.sum_providers(Periods::of(span))).await?)
    }

    async fn refusals(
        &self,
        span: &Range<Timestamp>,
        whose: &Whose,
        most: u32,
    ) -> Result<Vec<Refused>, StoreError> {
        self.write_counts().await?;
        Ok(bounded(self.sum_refusals(Periods::of(span), whose, most)).await?)
    }
}

/// Names that counts stand under.
type Names = Vec<String>;

/// The counts under one name.
#[derive(FromRow)]
struct CountRow {
    name: String,
    accepted: i64,
    delivered: i64,
    deferred: i64,
    bounced: i64,
    expired: i64,
    suppressed: i64,
    /// Names that there are.
    names: i64,
}

impl CountRow {
    fn counts(&self) -> Counts {
        // Sums of counts are no less than 0.
        let count = |sum: i64| u64::try_from(sum).unwrap_or(0);
        Counts {
            accepted: count(self.accepted),
            delivered: count(self.delivered),
            deferred: count(self.deferred),
            bounced: count(self.bounced),
            expired: count(self.expired),
            suppressed: count(self.suppressed),
        }
    }
}

/// $1 axis; $2, $3 hours; $4, $5 days; $6 names or NULL; $7 how many. Index traffic (primary key).
const COUNTS: &str = "
SELECT t.name, sum(t.accepted)::bigint AS accepted, sum(t.delivered)::bigint AS delivered,
    sum(t.deferred)::bigint AS deferred, sum(t.bounced)::bigint AS bounced,
    sum(t.expired)::bigint AS expired, sum(t.suppressed)::bigint AS suppressed,
    count(*) OVER () AS names
FROM (VALUES ('hour', $2::bigint, $3::bigint), ('day', $4, $5)) AS g (grain, first, last)
JOIN traffic AS t ON t.grain = g.grain AND t.axis = $1 AND t.hour BETWEEN g.first AND g.last
WHERE $6::text[] IS NULL OR t.name IN (SELECT unnest($6::text[]))
GROUP BY t.name
ORDER BY sum(t.accepted + t.delivered + t.deferred + t.bounced) DESC, t.name LIMIT $7";

/// $1 axis; $2 names; $3, $4 periods. Index `delivery_times` (primary key): each name in each period.
const TIMES: &str = "
SELECT t.name, t.bound, sum(t.count)::bigint
FROM unnest($3::text[], $4::bigint[]) AS p (grain, hour) CROSS JOIN unnest($2::text[]) AS n (name)
JOIN delivery_times AS t
    ON t.grain = p.grain AND t.axis = $1 AND t.hour = p.hour AND t.name = n.name
GROUP BY t.name, t.bound";

impl PostgresStore {
    async fn counts(
        &self,
        axis: &str,
        periods: Periods,
        names: Option<Names>,
        most: u32,
    ) -> Result<Vec<CountRow>, Fault> {
        let mut connection = self.lend().await?;
        let rows = sqlx::query_as(COUNTS)
            .bind(axis)
            .bind(periods.hours.0)
            .bind(periods.hours.1)
            .bind(periods.days.0)
            .bind(periods.days.1)
            .bind(names)
            .bind(i64::from(most))
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        Ok(rows)
    }

    async fn tenants_of(&self, vendor: VendorId) -> Result<Names, Fault> {
        let mut connection = self.lend().await?;
        // Index tenants_vendor.
        let names = sqlx::query_scalar("SELECT id::text FROM tenants WHERE vendor = $1")
            .bind(vendor.uuid())
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        Ok(names)
    }

    /// The times under each of these names.
    async fn times(
        &self,
        axis: &str,
        periods: Periods,
        names: &[&str],
    ) -> Result<BTreeMap<String, Times>, Fault> {
        let (grains, hours): (Vec<&str>, Vec<i64>) = periods.each().unzip();
        let mut connection = self.lend().await?;
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(TIMES)
            .bind(axis)
            .bind(names)
            .bind(grains)
            .bind(hours)
            .fetch_all(&mut *connection)
            .await?;
        connection.back();
        let mut times: BTreeMap<String, Times> = BTreeMap::new();
        for (name, bound, count) in rows {
            let place = Place {
                table: "delivery_times",
                id: Uuid::nil(),
            };
            let bound = Duration::from_millis(place.number("bound", bound)?);
            let count = place.number("count", count)?;
            times.entry(name).or_default().add(bound, count);
        }
        Ok(times)
    }

    async fn lines(
        &self,
        axis: &str,
        periods: Periods,
        names: Option<Names>,
        most: u32,
    ) -> Result<(Vec<(String, Traffic)>, u64), Fault> {
        let rows = self.counts(axis, periods, names, most).await?;
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let mut times = self.times(axis, periods, &names).await?;
        let all = rows.first().map_or(0, |row| row.names);
        let left = u64::try_from(all).unwrap_or(0) - rows.len() as u64;
        let lines = rows.into_iter().map(|row| {
            let traffic = Traffic {
                counts: row.counts(),
                times: times.remove(&row.name).unwrap_or_default(),
            };
            (row.name, traffic)
        });
        Ok((lines.collect(), left))
    }

    async fn sum(&self, periods: Periods, whose: &Whose) -> Result<Traffic, Fault> {
        // Of all, by the few providers: each fact is counted once on each axis.
        let (axis, names) = match whose {
            Whose::All => ("provider", None),
            Whose::Vendor(vendor) => ("vendor", Some(one(*vendor))),
        };
        let (lines, _) = self.lines(axis, periods, names, u32::MAX).await?;
        let mut sum = Traffic::default();
        for (_, traffic) in lines {
            sum.merge(&traffic);
        }
        Ok(sum)
    }

    async fn sum_tenants(
        &self,
        periods: Periods,
        whose: &Whose,
        most: u32,
    ) -> Result<(Vec<(TenantId, Traffic)>, u64), Fault> {
        let names = match whose {
            Whose::All => None,
            Whose::Vendor(vendor) => Some(self.tenants_of(*vendor).await?),
        };
        let (lines, left) = self.lines("tenant", periods, names, most).await?;
        let read = |(name, traffic): (String, Traffic)| {
            let place = Place {
                table: "traffic",
                id: Uuid::nil(),
            };
            Ok((place.parsed("name", &name)?, traffic))
        };
        let lines: Result<Vec<_>, Fault> = lines.into_iter().map(read).collect();
        Ok((lines?, left))
    }

    async fn sum_vendors(
        &self,
        periods: Periods,
        whose: &Whose,
        most: u32,
    ) -> Result<(Vec<(Option<VendorId>, Traffic)>, u64), Fault> {
        let names = match whose {
            Whose::All => None,
            Whose::Vendor(vendor) => Some(one(*vendor)),
        };
        let (lines, left) = self.lines("vendor", periods, names, most).await?;
        let read = |(name, traffic): (String, Traffic)| {
            let place = Place {
                table: "traffic",
                id: Uuid::nil(),
            };
            let vendor = (!name.is_empty()).then_some(name.as_str());
            Ok((place.given("name", vendor, str::parse)?, traffic))
        };
        let lines: Result<Vec<_>, Fault> = lines.into_iter().map(read).collect();
        Ok((lines?, left))
    }

    async fn sum_providers(&self, periods: Periods) -> Result<Vec<(Provider, Traffic)>, Fault> {
        let (lines, _) = self.lines("provider", periods, None, u32::MAX).await?;
        let read = |(name, traffic): (String, Traffic)| {
            let place = Place {
                table: "traffic",
                id: Uuid::nil(),
            };
            Ok((place.cell("name", Provider::parse(&name))?, traffic))
        };
        lines.into_iter().map(read).collect()
    }

    async fn sum_refusals(
        &self,
        periods: Periods,
        whose: &Whose,
        most: u32,
    ) -> Result<Vec<Refused>, Fault> {
        let vendor = match whose {
            Whose::All => None,
            Whose::Vendor(vendor) => Some(vendor.uuid()),
        };
        let mut connection = self.lend().await?;
        // Indexes refusals (primary key) and tenants_vendor.
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT provider, text, sum(count)::bigint FROM refusals
             WHERE hour BETWEEN $1 AND $2
                 AND ($3::uuid IS NULL OR tenant IN (SELECT id FROM tenants WHERE vendor = $3))
             GROUP BY provider, text ORDER BY sum(count) DESC, provider, text LIMIT $4",
        )
        .bind(periods.hours.0)
        .bind(periods.hours.1)
        .bind(vendor)
        .bind(i64::from(most))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        let read = |(provider, text, count): (String, String, i64)| {
            let place = Place {
                table: "refusals",
                id: Uuid::nil(),
            };
            Ok(Refused {
                provider: place.cell("provider", Provider::parse(&provider))?,
                count: place.number("count", count)?,
                text,
            })
        };
        rows.into_iter().map(read).collect()
    }
}

fn one(vendor: VendorId) -> Names {
    vec![vendor.to_string()]
}
