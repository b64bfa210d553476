//! Whether the database can still hold everything that it acknowledged. Another server, another timeline,
//! other tables, a commit that is missing, an age or a log that went back mean that it may not: a failover
//! that lost what was not yet copied, or a backup that was restored. Then nothing is spent until an operator
//! has confirmed. It must not decide what else goes on meanwhile.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::changes::Place;
use super::fault::Fault;
use super::session::Connection;
use crate::store::columns::timestamp;
use crate::store::confirmation::LostTime;
use crate::store::encoding;
use crate::store::witness::{Noted, Witness};

/// The OIDs of the database, of the schema and of the tables of the first version. They stay the same
/// whatever is done to the tables; what a dump makes when it is restored has others.
pub(super) const OBJECTS: &str = "coalesce((SELECT concat('database ', d.oid, ' schema ', n.oid, \
    ' tables ', (SELECT string_agg(c.oid::text, ' ' ORDER BY c.relname) FROM pg_class c \
    WHERE c.relnamespace = n.oid AND c.relname IN ('meta', 'operations', 'attempts', 'locks', \
    'claims', 'changes', 'services'))) FROM pg_database d, pg_namespace n \
    WHERE d.datname = current_database() AND n.nspname = 'purveyor'), '')";

/// The server's timeline: the name of a log file begins with it, in eight hexadecimal digits.
pub(super) const TIMELINE: &str =
    "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint";

/// Which server, which of the histories that it can have, and which tables there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) system_identifier: i64,
    pub(super) timeline: i64,
    pub(super) objects: String,
}

/// What the database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) store_id: Uuid,
    pub(super) approved: Cluster,
    pub(super) approvals: i64,
    /// The store's age.
    pub(super) age: i64,
    /// What an operator said that may be missing.
    pub(super) lost: Option<LostTime>,
    /// When this is a copy: when it was made.
    pub(super) copied_time: Option<i64>,
}

impl Meta {
    /// The columns of [`Meta::read`].
    const COLUMNS: &str = "store_id, system_identifier, timeline, objects, approvals, age, \
                           lost_time, copied_time";

    fn read(row: &Row) -> Result<Result<Self, String>, Error> {
        let approved = Cluster {
            system_identifier: row.try_get("system_identifier")?,
            timeline: row.try_get("timeline")?,
            objects: row.try_get("objects")?,
        };
        let lost: Option<&[u8]> = row.try_get("lost_time")?;
        let lost = match lost.map(encoding::from_lost_time).transpose() {
            Ok(lost) => lost,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(Ok(Self {
            store_id: row.try_get("store_id")?,
            approved,
            approvals: row.try_get("approvals")?,
            age: row.try_get("age")?,
            lost,
            copied_time: row.try_get("copied_time")?,
        }))
    }
}

/// One look at what a connection leads to.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) meta: Meta,
    pub(super) cluster: Cluster,
    /// How far the server's log is on its disk.
    lsn: i64,
    /// The newest change that can be seen.
    pub(super) newest: Option<Place>,
    /// Whether the change that was asked for is missing.
    missing: bool,
}

impl Look {
    /// Looks, and asks for a change that was acknowledged. The inner error refuses the connection.
    pub(super) async fn at(
        connection: &Connection,
        acknowledged: Option<Place>,
    ) -> Result<Result<Self, String>, Fault> {
        let (position, transaction_id) =
            acknowledged.map_or((0, 0), |place| (place.position, place.transaction_id));
        let sql = format!(
            "SELECT {}, (pg_control_system()).system_identifier AS server, \
             {TIMELINE} AS server_timeline, {OBJECTS} AS server_objects, \
             (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS lsn, \
             NOT ($1::bigint = 0 OR EXISTS (SELECT FROM changes WHERE position = $1 \
             AND transaction_id = $2::bigint::text::xid8) \
             OR coalesce((SELECT min(position) FROM changes) > $1, false)) AS missing, \
             (SELECT position FROM changes ORDER BY position DESC LIMIT 1) AS newest, \
             (SELECT transaction_id::text::bigint FROM changes ORDER BY position DESC LIMIT 1) \
             AS newest_transaction FROM meta",
            Meta::COLUMNS
        );
        let statement = connection.prepare_cached(&sql).await?;
        let row = connection.query_one(&statement, &[&position, &transaction_id]).await?;
        let meta = match Meta::read(&row)? {
            Ok(meta) => meta,
            Err(why) => return Ok(Err(why)),
        };
        let cluster = Cluster {
            system_identifier: row.try_get("server")?,
            timeline: row.try_get("server_timeline")?,
            objects: row.try_get("server_objects")?,
        };
        let newest: Option<i64> = row.try_get("newest")?;
        let transaction: Option<i64> = row.try_get("newest_transaction")?;
        let timeline = cluster.timeline;
        let newest = newest.zip(transaction).map(|(position, transaction_id)| Place {
            position,
            transaction_id,
            timeline,
        });
        let (lsn, missing) = (row.try_get("lsn")?, row.try_get("missing")?);
        Ok(Ok(Self { meta, cluster, lsn, newest, missing }))
    }

    /// What a witness shall know of it.
    pub(super) fn noted(&self) -> Noted {
        Noted {
            store_id: self.meta.store_id,
            position: self.newest.map_or(0, |place| place.position.unsigned_abs()),
            place: place(&self.cluster),
            timeline: self.cluster.timeline,
            confirmations: self.meta.approvals,
            age: self.meta.age,
        }
    }

    /// Why the database may lack commits, as it tells by itself.
    pub(super) fn alert(&self) -> Option<String> {
        let (approved, now) = (&self.meta.approved, &self.cluster);
        if let Some(copied) = self.meta.copied_time {
            return Some(format!("the store is a backup of {}", timestamp(copied)));
        }
        if (approved.system_identifier, approved.timeline) != (now.system_identifier, now.timeline)
        {
            return Some(format!(
                "the store moved from {} to {}, and may have lost commits",
                name(approved),
                name(now)
            ));
        }
        (approved.objects != now.objects).then(|| {
            format!(
                "the store was restored or copied: its tables are {}, and were {}",
                now.objects, approved.objects
            )
        })
    }
}

/// What is known, and what is doubted.
#[derive(Default)]
pub(super) struct Doubts {
    /// The store that was opened; until then nothing is looked at.
    opened: OnceLock<Uuid>,
    state: Mutex<State>,
    /// The second memory, where there is one: its file, and the open witness while nothing is doubted.
    witness: Mutex<Option<(PathBuf, Option<Witness>)>>,
}

#[derive(Default)]
struct State {
    /// The last commit that was acknowledged, here or where it was seen.
    acknowledged: Option<Place>,
    memory: Memory,
    doubt: Option<Doubt>,
    /// How often a doubt was ended by an operator. What was asked for before that is not missed any more.
    ended: u64,
    lost: Option<LostTime>,
    /// What the witness shall know.
    noted: Noted,
    /// Connections may lead to a server that was left since.
    stale: bool,
}

/// What only grows. It is taken before a look, so that an answer that was overtaken is no alarm.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    approvals: i64,
    timeline: i64,
    age: i64,
    lsn: i64,
}

struct Doubt {
    why: String,
    /// How often an operator had approved when it arose.
    approvals: i64,
}

impl Doubts {
    /// Which store every connection has to lead to from now on, as it was looked at first.
    ///
    /// # Errors
    ///
    /// What kept the witness from being read or written.
    pub(super) fn open(&self, look: &Look, witness: Option<&Path>) -> std::io::Result<()> {
        self.opened.get_or_init(|| look.meta.store_id);
        let noted = witness.map(Witness::read).transpose()?.flatten();
        let against = noted.and_then(|noted| noted.speaks_against(&look.noted()));
        {
            let mut state = self.state();
            state.memory.approvals = look.meta.approvals;
            if let Some(why) = against {
                state.raise(&why, look.meta.approvals);
            }
        }
        self.judge(look, self.before());
        if let Some(path) = witness {
            let open = match self.doubt() {
                // What was known before stays noted.
                Some(_) => None,
                None => Some(Witness::begin(path, look.noted())?),
            };
            *self.witness() = Some((path.to_owned(), open));
        }
        Ok(())
    }

    /// A commit was acknowledged.
    ///
    /// # Errors
    ///
    /// By an old primary: it is no commit of the store. The error says so.
    pub(super) fn acknowledged(&self, place: Place) -> Result<(), String> {
        let mut state = self.state();
        let (went, known) = (place.timeline, state.memory.timeline);
        if went < known {
            return Err(format!(
                "the commit went to an old primary on timeline {went}, and the store is on timeline \
                 {known}"
            ));
        }
        state.knows(place);
        Ok(())
    }

    /// A heartbeat that was acknowledged here is not there any more.
    pub(super) fn age_went_back(&self) {
        let mut state = self.state();
        let approvals = state.memory.approvals;
        state.raise(&went_back("the store's age"), approvals);
    }

    /// Why nothing may be spent.
    pub(super) fn doubt(&self) -> Option<String> {
        self.state().doubt.as_ref().map(|doubt| doubt.why.clone())
    }

    /// What an operator said that may be missing.
    pub(super) fn lost_time(&self) -> Option<LostTime> {
        self.state().lost
    }

    /// Whether connections that there are may lead to a server that was left; asked once for each time.
    pub(super) fn take_stale(&self) -> bool {
        std::mem::take(&mut self.state().stale)
    }

    /// Looks at what a connection leads to. The inner error refuses the connection.
    pub(super) async fn see(&self, connection: &Connection) -> Result<Result<(), String>, Fault> {
        let Some(opened) = self.opened.get() else { return Ok(Ok(())) };
        let before = self.before();
        let look = match Look::at(connection, before.acknowledged).await? {
            Ok(look) => look,
            Err(why) => return Ok(Err(why)),
        };
        if look.meta.store_id != *opened {
            return Ok(Err("this is another store than the one that was opened".to_owned()));
        }
        let (now, known) = (look.cluster.timeline, before.memory.timeline);
        if now < known && look.meta.approvals <= before.memory.approvals {
            return Ok(Err(format!(
                "the server is an old primary on timeline {now}: this gateway has used timeline \
                 {known}; stop that server, or lead store.url to the new one"
            )));
        }
        self.judge(&look, before);
        Ok(Ok(()))
    }

    /// Writes what the witness shall know, where that has changed. Waits for the disk.
    pub(super) fn note(&self) -> std::io::Result<()> {
        let (noted, doubted) = {
            let state = self.state();
            (state.noted.clone(), state.doubt.is_some())
        };
        let mut witness = self.witness();
        let Some((path, open)) = &mut *witness else { return Ok(()) };
        if doubted {
            *open = None;
            return Ok(());
        }
        match open {
            Some(witness) => witness.note(noted),
            // An operator has confirmed what there is now.
            None => {
                *open = Some(Witness::begin(path, noted)?);
                Ok(())
            }
        }
    }

    fn before(&self) -> Before {
        let state = self.state();
        Before { acknowledged: state.acknowledged, memory: state.memory, ended: state.ended }
    }

    /// Judges a look by what was known before it.
    fn judge(&self, look: &Look, before: Before) {
        let mut state = self.state();
        let approvals = look.meta.approvals;
        let confirmed = state.memory.approvals < approvals
            || state.doubt.as_ref().is_some_and(|doubt| doubt.approvals < approvals);
        let asked_now = before.ended == state.ended;
        // Who had no doubt worked on, maybe after the confirmation and on a server that was left.
        let missing = look.missing && asked_now && !(confirmed && state.doubt.is_some());
        let timeline = state.memory.timeline;
        state.stale |= timeline != 0 && timeline != look.cluster.timeline;
        if confirmed {
            // What is missing was looked at by a person.
            if state.doubt.take().is_some() {
                tracing::warn!("an operator confirmed the store; spends go on");
            }
            state.acknowledged = None;
            state.memory = Memory::default();
            state.noted = Noted::default();
            state.ended += 1;
        }
        if approvals >= state.memory.approvals {
            state.lost = look.meta.lost;
        }
        let current = asked_now && !confirmed;
        let same = look.cluster.timeline == before.memory.timeline;
        let back = |what: &str| Some(went_back(what));
        let why = match look.alert() {
            Some(why) => Some(why),
            None if missing => Some("a commit that the store acknowledged is missing".to_owned()),
            None if current && approvals < before.memory.approvals => {
                back("the number of confirmations")
            }
            None if current && look.meta.age < before.memory.age => back("the store's age"),
            None if current && same && look.lsn < before.memory.lsn => back("the server's log"),
            None => None,
        };
        if let Some(why) = why {
            state.memory.timeline = state.memory.timeline.max(look.cluster.timeline);
            return state.raise(&why, approvals);
        }
        state.remember(look);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The data is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn witness(&self) -> MutexGuard<'_, Option<(PathBuf, Option<Witness>)>> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was known when a look began.
#[derive(Clone, Copy)]
struct Before {
    acknowledged: Option<Place>,
    memory: Memory,
    ended: u64,
}

impl State {
    fn knows(&mut self, place: Place) {
        if self.acknowledged.is_none_or(|last| last.position < place.position) {
            self.acknowledged = Some(place);
            self.noted.position = self.noted.position.max(place.position.unsigned_abs());
        }
    }

    fn remember(&mut self, look: &Look) {
        let Memory { approvals, timeline, age, lsn } = self.memory;
        self.memory = Memory {
            approvals: approvals.max(look.meta.approvals),
            timeline: timeline.max(look.cluster.timeline),
            age: age.max(look.meta.age),
            lsn: lsn.max(look.lsn),
        };
        if self.doubt.is_none() {
            let position = self.noted.position;
            let noted = look.noted();
            self.noted = Noted { position: position.max(noted.position), ..noted };
        }
        if let Some(newest) = look.newest {
            self.knows(newest);
        }
    }

    fn raise(&mut self, why: &str, approvals: i64) {
        if self.doubt.is_none() {
            let why = format!("{why}; run `purveyor store confirm` once it was looked at");
            tracing::error!(why, "nothing is spent");
            self.doubt = Some(Doubt { why, approvals });
        }
    }
}

/// Where a store is, for its witness.
fn place(cluster: &Cluster) -> String {
    format!("server {} {}", cluster.system_identifier.cast_unsigned(), cluster.objects)
}

fn went_back(what: &str) -> String {
    format!("{what} went back: the store was restored")
}

fn name(cluster: &Cluster) -> String {
    format!("server {} timeline {}", cluster.system_identifier.cast_unsigned(), cluster.timeline)
}

#[cfg(test)]
mod tests {
    use super::{Cluster, Doubts, Look, Meta, Place, Uuid};

    fn home() -> Cluster {
        Cluster { system_identifier: 7, timeline: 1, objects: "database 5".to_owned() }
    }

    fn promoted() -> Cluster {
        Cluster { timeline: 2, ..home() }
    }

    fn look(approved: Cluster, approvals: i64, cluster: Cluster) -> Look {
        let meta = Meta { store_id: Uuid::nil(), approved, approvals, ..Meta::default() };
        Look { meta, cluster, ..Look::default() }
    }

    fn opened() -> Doubts {
        let doubts = Doubts::default();
        doubts.open(&look(home(), 3, home()), None).unwrap();
        assert_eq!(doubts.doubt(), None);
        doubts
    }

    fn judge(doubts: &Doubts, look: Look) -> String {
        let before = doubts.before();
        doubts.judge(&look, before);
        doubts.doubt().unwrap_or_default()
    }

    #[test]
    fn other_timeline_or_other_tables_are_doubted_until_confirmed() {
        let restored = Cluster { objects: "database 6".to_owned(), ..home() };
        for (other, expected) in [(promoted(), "timeline 2"), (restored, "restored or copied")] {
            let doubts = opened();
            let told = judge(&doubts, look(home(), 3, other.clone()));
            assert!(told.contains(expected), "{told}");
            // The way back loses as much, and time alone heals nothing.
            assert_ne!(judge(&doubts, look(home(), 3, home())), "");
            assert_eq!(judge(&doubts, look(other.clone(), 4, other)), "");
        }
    }

    #[test]
    fn missing_commit_is_doubted_until_confirmed() {
        let doubts = opened();
        doubts.acknowledged(Place { position: 5, transaction_id: 50, timeline: 1 }).unwrap();
        let missing = |approvals| Look { missing: true, ..look(home(), approvals, home()) };
        assert!(judge(&doubts, missing(3)).contains("missing"));
        assert_ne!(judge(&doubts, missing(3)), "");
        // Two connections ask after the confirmation, and both have asked for the commit before.
        let before = doubts.before();
        for _ in 0..2 {
            doubts.judge(&missing(4), before);
            assert_eq!(doubts.doubt(), None);
        }
        assert!(doubts.state().acknowledged.is_none(), "it is not asked for again");
        // What is acknowledged and missing later is another loss.
        assert_ne!(judge(&doubts, missing(4)), "");
    }

    /// The operator had not seen it: this gateway worked on at the old server.
    #[test]
    fn commit_that_is_missing_where_another_server_was_confirmed_unawares_is_doubted() {
        let doubts = opened();
        doubts.acknowledged(Place { position: 5, transaction_id: 50, timeline: 1 }).unwrap();
        let there = look(promoted(), 4, promoted());
        assert!(judge(&doubts, Look { missing: true, ..there }).contains("missing"));
    }

    #[test]
    fn age_or_log_that_went_back_is_doubted() {
        fn at(age: i64, lsn: i64) -> Look {
            let look = look(home(), 3, home());
            Look { meta: Meta { age, ..look.meta }, lsn, ..look }
        }
        for (back, expected) in [(at(9, 10), "age"), (at(10, 9), "log")] {
            let doubts = opened();
            let overtaken = doubts.before();
            assert_eq!(judge(&doubts, at(10, 10)), "");
            doubts.judge(&back, overtaken);
            assert_eq!(doubts.doubt(), None, "an answer that was overtaken is no alarm");
            let told = judge(&doubts, back);
            assert!(told.contains(&format!("{expected} went back")), "{told}");
        }
    }

    #[test]
    fn commit_on_an_older_timeline_is_not_one_of_the_store() {
        let doubts = opened();
        let place = |timeline| Place { position: 5, transaction_id: 50, timeline };
        doubts.acknowledged(place(1)).unwrap();
        assert_eq!(judge(&doubts, look(promoted(), 4, promoted())), "");
        assert!(doubts.take_stale() && !doubts.take_stale());
        doubts.acknowledged(place(2)).unwrap();
        assert!(doubts.acknowledged(place(1)).unwrap_err().contains("old primary on timeline 1"));
        assert_eq!(doubts.doubt(), None);
    }

    #[test]
    fn witness_of_a_later_store_is_doubted_and_begun_again_when_confirmed() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("seen");
        let at = |position, approvals| {
            let newest = Some(Place { position, transaction_id: 50, timeline: 1 });
            Look { newest, ..look(home(), approvals, home()) }
        };
        let open = |look: &Look| {
            let doubts = Doubts::default();
            doubts.open(look, Some(&file)).unwrap();
            doubts
        };
        let doubts = open(&at(5, 3));
        assert_eq!(judge(&doubts, at(8, 3)), "");
        doubts.note().unwrap();
        assert_eq!(open(&at(8, 3)).doubt(), None);
        let doubts = open(&at(7, 3));
        assert!(doubts.doubt().unwrap().contains("had 8 before"));
        doubts.note().unwrap();
        assert_eq!(judge(&doubts, at(7, 4)), "");
        doubts.note().unwrap();
        assert_eq!(open(&at(7, 4)).doubt(), None);
        // Another gateway confirmed it, and this one was stopped.
        assert_eq!(open(&at(2, 5)).doubt(), None);
    }
}
