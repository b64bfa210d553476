//! Whether the database can still hold everything that it acknowledged. Another server, another
//! timeline, or a commit of ours that is missing mean that it may not: a failover that lost what was
//! not yet copied, or a backup put back. Then nothing is spent until an operator has approved. It
//! must not decide what else goes on meanwhile.

use std::sync::{Mutex, OnceLock, PoisonError};

use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::changes::Place;
use super::fault::Fault;
use super::session::Connection;

/// Which server, and which of the histories that it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) system_identifier: i64,
    pub(super) timeline: i64,
}

impl Cluster {
    /// The server behind a connection to a primary.
    pub(super) async fn of(connection: &Connection) -> Result<Self, Fault> {
        // The name of a log file begins with its timeline, in eight hexadecimal digits.
        let sql = "SELECT (pg_control_system()).system_identifier, \
                   ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint";
        let statement = connection.prepare_cached(sql).await?;
        let row = connection.query_one(&statement, &[]).await?;
        Ok(Self { system_identifier: row.try_get(0)?, timeline: row.try_get(1)? })
    }
}

/// What the database says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) store_id: Uuid,
    pub(super) approved: Cluster,
    pub(super) approvals: i64,
}

impl Meta {
    /// The columns of [`Meta::read`].
    pub(super) const COLUMNS: &str = "store_id, system_identifier, timeline, approvals";

    pub(super) fn read(row: &Row) -> Result<Self, Error> {
        let approved = Cluster { system_identifier: row.try_get(1)?, timeline: row.try_get(2)? };
        Ok(Self { store_id: row.try_get(0)?, approved, approvals: row.try_get(3)? })
    }
}

/// What is known, and what is doubted.
#[derive(Default)]
pub(super) struct Doubts {
    /// The store that was opened; until then nothing is looked at.
    opened: OnceLock<Uuid>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last commit of ours that was acknowledged.
    acknowledged: Option<Place>,
    doubt: Option<Doubt>,
    /// How often a doubt was ended by an operator. What was asked for before that is not missed any more.
    ended: u64,
}

struct Doubt {
    why: String,
    /// How often an operator had approved when it arose.
    approvals: i64,
}

impl Doubts {
    /// Which store every connection has to lead to from now on.
    pub(super) fn opened(&self, store_id: Uuid) {
        self.opened.get_or_init(|| store_id);
    }

    /// A commit was acknowledged.
    pub(super) fn acknowledged(&self, place: Place) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.acknowledged.is_none_or(|last| last.position < place.position) {
            state.acknowledged = Some(place);
        }
    }

    /// Why nothing may be spent.
    pub(super) fn doubt(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.doubt.as_ref().map(|doubt| doubt.why.clone())
    }

    /// Looks at what a connection leads to. The inner error refuses the connection.
    pub(super) async fn see(
        &self,
        connection: &Connection,
        cluster: Cluster,
    ) -> Result<Result<(), String>, Fault> {
        let Some(opened) = self.opened.get() else { return Ok(Ok(())) };
        let (acknowledged, ended) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.acknowledged, state.ended)
        };
        let (position, transaction_id) =
            acknowledged.map_or((0, 0), |place| (place.position, place.transaction_id));
        let sql = format!(
            "SELECT {}, $1::bigint = 0 OR EXISTS (SELECT FROM changes WHERE position = $1 \
             AND transaction_id = $2::bigint::text::xid8) \
             OR coalesce((SELECT min(position) FROM changes) > $1, false) FROM meta",
            Meta::COLUMNS
        );
        let statement = connection.prepare_cached(&sql).await?;
        let row = connection.query_one(&statement, &[&position, &transaction_id]).await?;
        let meta = Meta::read(&row)?;
        if meta.store_id != *opened {
            return Ok(Err("this is another store than the one that was opened".to_owned()));
        }
        let missing = (!row.try_get::<_, bool>(4)?).then_some(ended);
        self.judge(&meta, cluster, missing);
        Ok(Ok(()))
    }

    /// `missing`: that the last acknowledged commit is, and how many doubts were ended when it was asked for.
    fn judge(&self, meta: &Meta, cluster: Cluster, missing: Option<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let approved = state.doubt.as_ref().is_some_and(|doubt| doubt.approvals < meta.approvals);
        if approved {
            // What is missing was looked at by a person.
            state.doubt = None;
            state.acknowledged = None;
            state.ended += 1;
            tracing::warn!("an operator approved the store; spends go on");
        }
        let why = if meta.approved != cluster {
            Some(format!(
                "the store moved from {} to {}, and may have lost commits",
                name(meta.approved),
                name(cluster)
            ))
        } else if missing == Some(state.ended) {
            Some("a commit that the store acknowledged is missing".to_owned())
        } else {
            None
        };
        if let Some(why) = why
            && state.doubt.is_none()
        {
            let why = format!("{why}; run `purveyor store confirm` once it was looked at");
            tracing::error!(why, "nothing is spent");
            state.doubt = Some(Doubt { why, approvals: meta.approvals });
        }
    }
}

fn name(cluster: Cluster) -> String {
    format!("server {} timeline {}", cluster.system_identifier.cast_unsigned(), cluster.timeline)
}

#[cfg(test)]
mod tests {
    use super::{Cluster, Doubts, Meta, Place, Uuid};

    const HOME: Cluster = Cluster { system_identifier: 7, timeline: 1 };
    const PROMOTED: Cluster = Cluster { timeline: 2, ..HOME };

    fn meta(approved: Cluster, approvals: i64) -> Meta {
        Meta { store_id: Uuid::nil(), approved, approvals }
    }

    #[test]
    fn another_timeline_is_doubted_until_it_is_approved() {
        let doubts = Doubts::default();
        doubts.judge(&meta(HOME, 0), HOME, None);
        assert_eq!(doubts.doubt(), None);
        doubts.judge(&meta(HOME, 0), PROMOTED, None);
        assert!(doubts.doubt().unwrap().contains("timeline 2"));
        // The way back loses as much, and time alone heals nothing.
        doubts.judge(&meta(HOME, 0), HOME, None);
        assert!(doubts.doubt().is_some());
        doubts.judge(&meta(PROMOTED, 1), PROMOTED, None);
        assert_eq!(doubts.doubt(), None);
    }

    #[test]
    fn a_missing_commit_is_doubted_until_it_is_approved() {
        let doubts = Doubts::default();
        doubts.acknowledged(Place { position: 5, transaction_id: 50 });
        doubts.judge(&meta(HOME, 3), HOME, Some(0));
        assert!(doubts.doubt().unwrap().contains("missing"));
        doubts.judge(&meta(HOME, 3), HOME, Some(0));
        assert!(doubts.doubt().is_some());
        doubts.judge(&meta(HOME, 4), HOME, Some(0));
        assert_eq!(doubts.doubt(), None);
        assert!(doubts.state.lock().unwrap().acknowledged.is_none(), "it is not asked for again");
    }

    /// Two connections ask after the approval, and both have asked for the commit that is missing.
    #[test]
    fn what_was_asked_for_before_an_approval_raises_no_new_doubt() {
        let doubts = Doubts::default();
        doubts.acknowledged(Place { position: 5, transaction_id: 50 });
        doubts.judge(&meta(HOME, 3), HOME, Some(0));
        assert!(doubts.doubt().is_some());
        for _ in 0..2 {
            doubts.judge(&meta(HOME, 4), HOME, Some(0));
            assert_eq!(doubts.doubt(), None);
        }
        // What is acknowledged and missing later is another loss.
        doubts.judge(&meta(HOME, 4), HOME, Some(1));
        assert!(doubts.doubt().is_some());
    }
}
