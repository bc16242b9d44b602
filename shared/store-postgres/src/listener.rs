//! What is new: rows that this process committed, handed over in memory, and word between processes
//! by LISTEN and NOTIFY. Word may be lost (a connection that broke): who waits polls as well.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_store::QueueRow;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::open::CONNECT_TIMEOUT;

const CHANNEL: &str = "postrider";
/// Between two words to other processes: each costs them a look.
const WORD_INTERVAL: Duration = Duration::from_millis(10);
/// How long a word may take; then its connection is made anew.
const WORD_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to reach the server.
const PAUSE: Duration = Duration::from_millis(200);
/// Rows that are handed over in memory at most; past it one has to look.
const ROWS_MOST: usize = 20_000;

/// The board on which news is put.
#[derive(Clone)]
pub(crate) struct News(Arc<Board>);

struct Board {
    state: Mutex<State>,
    /// Wakes who reads the board.
    arrived: Notify,
    /// Wakes who tells others.
    leaving: Notify,
    /// Tells our own words from others'.
    own: Uuid,
}

#[derive(Default)]
struct State {
    /// Whether anybody reads: else nothing is kept for him.
    read: bool,
    rows: Vec<QueueRow>,
    look: bool,
    control: bool,
    to_tell: Vec<Word>,
}

/// What one process tells another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Rows,
    Control,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Control => "control",
        }
    }
}

impl State {
    fn tell(&mut self, word: Word) {
        if !self.to_tell.contains(&word) {
            self.to_tell.push(word);
        }
    }
}

impl News {
    pub(crate) fn new(own: Uuid) -> Self {
        Self(Arc::new(Board {
            state: Mutex::default(),
            arrived: Notify::new(),
            leaving: Notify::new(),
            own,
        }))
    }

    /// Rows that were committed a moment ago: for this process from memory, for others a word.
    pub(crate) fn committed(&self, rows: impl ExactSizeIterator<Item = QueueRow>) {
        let mut state = self.0.state.lock();
        state.tell(Word::Rows);
        if state.read && state.rows.len() + rows.len() <= ROWS_MOST {
            state.rows.extend(rows);
        } else {
            state.look = true;
        }
        drop(state);
        self.0.arrived.notify_one();
        self.0.leaving.notify_one();
    }

    /// Rows were changed that are not at hand.
    pub(crate) fn changed(&self) {
        self.committed(std::iter::empty());
        self.look();
    }

    /// A control was raised or closed by this process.
    pub(crate) fn controlled(&self) {
        let mut state = self.0.state.lock();
        state.control = true;
        state.tell(Word::Control);
        drop(state);
        self.0.arrived.notify_one();
        self.0.leaving.notify_one();
    }

    /// The next piece of news. Nothing is taken off the board before it is given.
    pub(crate) async fn next(&self) -> postrider_store::News {
        loop {
            if let Some(news) = self.take() {
                return news;
            }
            self.0.arrived.notified().await;
        }
    }

    fn take(&self) -> Option<postrider_store::News> {
        let mut state = self.0.state.lock();
        state.read = true;
        if std::mem::take(&mut state.control) {
            return Some(postrider_store::News::Control);
        }
        if !state.rows.is_empty() {
            return Some(postrider_store::News::Rows(std::mem::take(&mut state.rows)));
        }
        std::mem::take(&mut state.look).then_some(postrider_store::News::Look)
    }

    fn look(&self) {
        self.0.state.lock().look = true;
        self.0.arrived.notify_one();
    }

    /// Word from another process, or from ourselves.
    fn heard(&self, word: &str) {
        let Some((what, from)) = word.split_once(' ') else {
            return;
        };
        if from.parse() == Ok(self.0.own) {
            return;
        }
        if what == Word::Control.as_str() {
            self.0.state.lock().control = true;
            self.0.arrived.notify_one();
        } else {
            self.look();
        }
    }

    /// What has to be told now.
    fn words(&self) -> Vec<String> {
        let words = std::mem::take(&mut self.0.state.lock().to_tell);
        let own = self.0.own;
        words
            .into_iter()
            .map(|word| format!("{} {own}", word.as_str()))
            .collect()
    }
}

/// Listens, and tells.
pub(crate) struct Listener {
    pub(crate) settings: PgConnectOptions,
    pub(crate) news: News,
    pub(crate) closing: CancellationToken,
}

impl Listener {
    /// Runs until the store is closed.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = self.listen() => {}
            () = self.tell() => {}
        }
    }

    async fn listen(&self) {
        // A pool of one, since that is what sqlx's listener takes; it asks nothing of it but this.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(self.settings.clone());
        loop {
            if let Err(error) = self.hear(&pool).await {
                tracing::debug!(%error, "word from other processes is not heard; polling goes on");
            }
            // What was said meanwhile is lost.
            self.news.look();
            sleep(PAUSE).await;
        }
    }

    async fn hear(&self, pool: &sqlx::PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        self.news.look();
        // `None`: the connection is lost.
        while let Some(word) = listener.try_recv().await? {
            self.news.heard(word.payload());
        }
        Ok(())
    }

    async fn tell(&self) {
        // A word that is lost in a crash is no loss.
        let settings = self.settings.clone();
        let settings = settings.options([("synchronous_commit", "off")]);
        let (mut connection, mut next) = (None, Instant::now());
        loop {
            self.news.0.leaving.notified().await;
            sleep_until(next).await;
            for word in self.news.words() {
                let told = timeout(WORD_TIMEOUT, say(&settings, &mut connection, &word)).await;
                if !told.is_ok_and(|told| told.is_ok()) {
                    connection = None;
                }
            }
            next = Instant::now() + WORD_INTERVAL;
        }
    }
}

async fn say(
    settings: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    word: &str,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(settings.connect().await?),
    };
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(word)
        .execute(connection)
        .await?;
    Ok(())
}
