//! Who leads a loop. Every take-over raises the lease's epoch; a write of a former leader finds another epoch and fails.

use std::time::Duration;

use waybill_model::{Micros, OrgId};

use crate::error::{StoreError, StoreResult};
use crate::reading::int;
use crate::{Store, Tx};

/// A claim to lead one loop, as it was when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopLease {
    /// The loop.
    pub name: &'static str,
    /// Who holds it: one id per process.
    pub holder: String,
    /// Rises with every change of the holder.
    pub epoch: i64,
}

impl Store {
    /// Takes or renews the lease of a loop for `life`; none while another process holds it.
    pub async fn loop_lease_take(
        &self,
        name: &'static str,
        holder: &str,
        life: Duration,
    ) -> StoreResult<Option<LoopLease>> {
        let mut tx = self.write_tx_of_all().await?;
        let sql = tx.sql(
            "insert into loop_lease (name, holder, epoch, held_until) values ($1, $2, 1, {now} + $3)
             on conflict (name) do update set held_until = excluded.held_until, holder = excluded.holder,
                epoch = case when loop_lease.holder = excluded.holder then loop_lease.epoch else loop_lease.epoch + 1 end
             where loop_lease.holder = excluded.holder or loop_lease.held_until < {now}
             returning epoch",
        );
        let row = sqlx::query(sql)
            .bind(name)
            .bind(holder)
            .bind(Micros(0).plus(life).0)
            .fetch_optional(tx.connection())
            .await?;
        tx.commit().await?;
        row.map(|row| Ok(LoopLease { name, holder: holder.to_owned(), epoch: int(&row, "epoch")? })).transpose()
    }

    /// Gives a lease back early, so that another process need not wait for its end.
    pub async fn loop_lease_release(&self, lease: &LoopLease) -> StoreResult<()> {
        let mut tx = self.write_tx_of_all().await?;
        sqlx::query("update loop_lease set held_until = 0 where name = $1 and holder = $2 and epoch = $3")
            .bind(lease.name)
            .bind(&lease.holder)
            .bind(lease.epoch)
            .execute(tx.connection())
            .await?;
        tx.commit().await
    }

    /// Begins a write about one organization that only the present leader may make. The lease's row stays locked until
    /// the commit, so nobody can take over in between.
    pub async fn write_tx_led(&self, lease: &LoopLease, org: OrgId) -> StoreResult<Tx> {
        led(self.write_tx(org).await?, lease).await
    }

    /// The same about all organizations.
    pub async fn write_tx_led_of_all(&self, lease: &LoopLease) -> StoreResult<Tx> {
        led(self.write_tx_of_all().await?, lease).await
    }
}

async fn led(mut tx: Tx, lease: &LoopLease) -> StoreResult<Tx> {
    let held = sqlx::query("update loop_lease set epoch = epoch where name = $1 and holder = $2 and epoch = $3")
        .bind(lease.name)
        .bind(&lease.holder)
        .bind(lease.epoch)
        .execute(tx.connection())
        .await?;
    if held.rows_affected() == 1 { Ok(tx) } else { Err(StoreError::StaleLeader { name: lease.name }) }
}
