//! What lies behind an error of a client that dials through the dialer: the one place that looks for its refusals.

use std::error::Error;

use super::DialError;

/// An error and all that it was caused by, the outermost first.
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| behind(*cause))
}

/// What an error was caused by. An I/O error hides what it wraps from `source`.
fn behind<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The dialer's refusal among the causes of an error. A name that is not known is none.
pub fn denial<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e DialError> {
    causes(error).filter_map(|cause| cause.downcast_ref::<DialError>()).find(|error| error.is_denied())
}

#[cfg(test)]
mod tests {
    use waybill_model::net::Host;

    use super::*;

    #[test]
    fn a_refusal_is_found_behind_whatever_wraps_it_and_a_name_that_is_not_known_is_none() {
        let refused = || DialError::Host { host: "a b".into(), source: Host::read("a b").expect_err("no host") };
        let wrapped = std::io::Error::other(std::io::Error::other(refused()));
        for error in [&refused() as &(dyn Error + 'static), &wrapped] {
            assert!(denial(error).is_some_and(|found| found.to_string().starts_with("a b")), "{error}");
        }
        assert!(denial(&std::io::Error::other(DialError::Unknown("db.example".into()))).is_none());
        assert!(denial(&std::io::Error::other("another")).is_none());
    }
}
