//! Plans that look at one connection by itself: no pipeline ties it to another end.
//!
//! Such a plan names the connection at both ends. No pipeline can: a system is read from or written to, never both.

use super::{Endpoint, Files, Limits, Plan, System};

/// What a system is in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is read.
    Source,
    /// It is written to.
    Destination,
}

impl System {
    /// Where it can stand.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::Postgres(_) | Self::MySql(_) | Self::Sqlite { .. } | Self::Files(_) => Side::Source,
            Self::Local { .. } | Self::S3(_) | Self::Azure(_) | Self::Gcs(_) => Side::Destination,
        }
    }
}

impl Plan {
    /// A look at this connection alone, which may take this long.
    #[must_use]
    pub fn of_one(connection: &str, system: &System, time_ms: u64) -> Self {
        let end = || Endpoint { connection: connection.to_owned(), system: system.clone() };
        Self {
            pipeline: connection.to_owned(),
            from: end(),
            to: end(),
            streams: Vec::new(),
            files: Files::default(),
            limits: Limits { time_ms, ..Limits::default() },
        }
    }

    /// The side of the one connection that is looked at; none for a plan with two ends. The other side must not be opened.
    #[must_use]
    pub fn lone(&self) -> Option<Side> {
        (self.from == self.to).then(|| self.from.system.side())
    }

    /// The connections that are opened, the source first.
    pub(super) fn opened(&self) -> impl Iterator<Item = &Endpoint> {
        let to = self.lone().is_none().then_some(&self.to);
        std::iter::once(&self.from).chain(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_one_connection_tells_its_side_and_names_its_parts_once() {
        let lake = r#"{"type":"s3","bucket":"b","access-key":"env://A","secret-key":"env://S"}"#;
        let lake: System = serde_json::from_str(lake).expect("a system");
        let shop = System::Sqlite { path: "/shop.db".into() };
        let look = Plan::of_one("lake", &lake, 1_000);
        assert_eq!((look.lone(), look.secrets().len(), look.regions().len()), (Some(Side::Destination), 2, 1));
        assert_eq!(Plan::of_one("shop", &shop, 1_000).lone(), Some(Side::Source));
        // Two ends, as a pipeline has them: even of one name.
        let both = Plan { from: Endpoint { connection: "lake".into(), system: shop }, ..look };
        assert_eq!(both.lone(), None);
    }
}
