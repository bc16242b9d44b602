//! The warm-up port: since when an address sends, and what it has sent on a day.

use async_trait::async_trait;
use postrider_store::{Allowance, Granted, StoreError, Warmups};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;

#[async_trait]
impl Warmups for SqliteStore {
    async fn sends_since(&self, egress: &str, today: i64) -> Result<i64, StoreError> {
        let egress = egress.to_owned();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { since(connection, &egress, today).await })
            })
            .await
    }

    async fn take(&self, of: &Allowance, want: u32, most: u32) -> Result<Granted, StoreError> {
        let of = of.clone();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { take(connection, &of, want, most).await })
            })
            .await
    }

    async fn give_back(&self, of: &Allowance, unused: u32) -> Result<(), StoreError> {
        let of = of.clone();
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { give_back(connection, &of, unused).await })
            })
            .await
    }
}

async fn since(connection: &mut SqliteConnection, egress: &str, today: i64) -> Result<i64, Fault> {
    // Index egress (primary key). Written over with itself, so that it is given back.
    let since = sqlx::query_scalar(
        "INSERT INTO egress (name, since) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET since = since
         RETURNING since",
    )
    .bind(egress)
    .bind(today)
    .fetch_one(connection)
    .await?;
    Ok(since)
}

async fn take(
    connection: &mut SqliteConnection,
    of: &Allowance,
    want: u32,
    most: u32,
) -> Result<Granted, Fault> {
    // Index egress_days (primary key). The one writer: nothing comes between the two.
    let sent: Option<i64> = sqlx::query_scalar(
        "SELECT sent FROM egress_days WHERE name = ?1 AND provider = ?2 AND day = ?3",
    )
    .bind(&of.egress)
    .bind(&of.provider)
    .bind(of.day)
    .fetch_optional(&mut *connection)
    .await?;
    let taken = Granted::of(number(sent.unwrap_or(0)), want, most);
    if taken.now > 0 {
        sqlx::query(
            "INSERT INTO egress_days (name, provider, day, sent) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name, provider, day) DO UPDATE SET sent = sent + excluded.sent",
        )
        .bind(&of.egress)
        .bind(&of.provider)
        .bind(of.day)
        .bind(taken.now)
        .execute(connection)
        .await?;
    }
    Ok(taken)
}

// More than fits is more than any allowance.
fn number(sent: i64) -> u32 {
    u32::try_from(sent.max(0)).unwrap_or(u32::MAX)
}

async fn give_back(
    connection: &mut SqliteConnection,
    of: &Allowance,
    unused: u32,
) -> Result<(), Fault> {
    // Index egress_days (primary key).
    sqlx::query(
        "UPDATE egress_days SET sent = max(0, sent - ?4)
         WHERE name = ?1 AND provider = ?2 AND day = ?3",
    )
    .bind(&of.egress)
    .bind(&of.provider)
    .bind(of.day)
    .bind(unused)
    .execute(connection)
    .await?;
    Ok(())
}
