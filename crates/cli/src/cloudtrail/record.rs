//! The records of one file, one at a time: each is read within its bound, dated, and kept where it is a call by one of the
//! roles, or one that asks for one of them.

use std::collections::HashSet;
use std::io::{ErrorKind, Read};

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use waybill_model::Micros;

use super::{Export, MOST_RECORD, Role, time};

/// A call as the cloud recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Which file, and the number of its record there, from 1.
    pub(crate) place: (usize, u64),
    /// As permissions name it, such as `ecs:RunTask`.
    pub(crate) action: String,
    pub(crate) at: Micros,
    pub(crate) role: Role,
    pub(crate) session: String,
    pub(crate) region: String,
    pub(crate) source_ip: String,
    pub(crate) request_id: Option<String>,
    pub(crate) error: Option<String>,
    pub(super) id: Option<String>,
}

impl Event {
    /// What a record tells, if it is a call by one of the roles or one that asks for one of them.
    fn of(record: &Value, (place, at): ((usize, u64), Micros), roles: &HashSet<Role>) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let some = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let service = record["eventSource"].as_str()?.split('.').next()?;
        let action = match (service, record["eventName"].as_str()?) {
            // Named otherwise than the permission that it takes.
            ("s3", "ListObjects" | "ListObjectsV2") => "s3:ListBucket".to_owned(),
            (service, name) => format!("{service}:{name}"),
        };
        let (identity, asked) = (&record["userIdentity"], &record["requestParameters"]);
        let asked_for = || Some((Role::of(asked["roleArn"].as_str()?)?, text(&asked["roleSessionName"])));
        let made_by = || {
            let arn = identity["arn"].as_str()?;
            let issuer = identity["sessionContext"]["sessionIssuer"]["arn"].as_str();
            Some((Role::of(issuer.unwrap_or(arn))?, arn.rsplit('/').next()?.to_owned()))
        };
        let is_looked_for = |(role, _): &(Role, String)| roles.contains(role);
        let asked_for = if action == "sts:AssumeRole" { asked_for().filter(is_looked_for) } else { None };
        // Whoever holds one of the roles and asks for another one is named as its holder.
        let (role, session) = asked_for.or_else(|| made_by().filter(is_looked_for))?;
        Some(Self {
            place,
            action,
            at,
            role,
            session,
            region: text(&record["awsRegion"]),
            source_ip: text(&record["sourceIPAddress"]),
            request_id: some(&record["requestID"]),
            error: some(&record["errorCode"]),
            id: some(&record["eventID"]),
        })
    }
}

/// The records of a file on their way into what is kept.
pub(super) struct Records<'a> {
    export: &'a mut Export,
    file: usize,
    roles: &'a HashSet<Role>,
    at: u64,
    found: bool,
}

impl<'a> Records<'a> {
    pub(super) const fn new(export: &'a mut Export, file: usize, roles: &'a HashSet<Role>) -> Self {
        Self { export, file, roles, at: 0, found: false }
    }

    /// The number of the record that was read last; 0 outside of them.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Reads a whole file. Says what is wrong with it.
    pub(super) fn read(&mut self, reader: impl Read) -> Result<(), String> {
        let mut from = serde_json::Deserializer::from_reader(reader);
        let read = Document(self).deserialize(&mut from).and_then(|()| from.end());
        match read {
            Ok(()) if self.found => Ok(()),
            Ok(()) => Err("it holds no list `Records`".to_owned()),
            Err(error) => Err(match error.io_error_kind() {
                Some(ErrorKind::FileTooLarge) => format!("it is larger than {} MiB, unpacked", self.export.most >> 20),
                Some(_) => "it is cut short or not packed by gzip as it says".to_owned(),
                None => error.to_string(),
            }),
        }
    }

    fn record(&mut self, raw: &RawValue) -> Result<(), String> {
        if raw.get().len() > MOST_RECORD {
            return Err(format!("it is larger than {} MiB", MOST_RECORD >> 20));
        }
        let record: Value = serde_json::from_str(raw.get()).map_err(|error| format!("it can't be read: {error}"))?;
        if !record.is_object() {
            return Err("it is no object".to_owned());
        }
        for key in ["eventSource", "eventName"] {
            if !record[key].is_string() {
                return Err(format!("`{key}` is missing, or no text"));
            }
        }
        let at = record["eventTime"].as_str().and_then(time);
        let at = at.ok_or("`eventTime` is missing, or no time such as 2025-11-21T02:00:04Z")?;
        self.export.count(at);
        match Event::of(&record, ((self.file, self.at), at), self.roles) {
            Some(event) => self.export.keep(event),
            None => Ok(()),
        }
    }
}

/// The object that a file is.
struct Document<'a, 'b>(&'a mut Records<'b>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a list `Records`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "Records" => map.next_value_seed(List(&mut *self.0))?,
                "Events" => {
                    let hint = "it is what `aws cloudtrail lookup-events` prints: turn it into \
                                {\"Records\": […]} with jq '{Records: [.Events[].CloudTrailEvent|fromjson]}'";
                    return Err(A::Error::custom(hint));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The list of records.
struct List<'a, 'b>(&'a mut Records<'b>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.found = true;
        loop {
            self.0.at += 1;
            match list.next_element::<Box<RawValue>>()? {
                Some(raw) => self.0.record(&raw).map_err(A::Error::custom)?,
                None => break,
            }
        }
        // What follows the list is in none of its records.
        self.0.at = 0;
        Ok(())
    }
}
