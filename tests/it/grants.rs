//! What a security officer signs: the grants, validated by Terraform, linted, evaluated as IAM does, and enforced by an emulator.
//! All of them read one text per policy, the templates in `terraform/aws/policies`.

mod calls;
mod documents;
mod enforced;
mod printed;

use std::collections::BTreeMap;

use serde_json::Value;
use waybill_tests::grants::{Rendered, Request, render, values};

pub(crate) use enforced::THROUGH;

/// The documents of the values that all stories share.
fn rendered() -> Rendered {
    render(&values()).expect("rendered documents")
}

/// A request of a role's session in the customer's account.
fn request(role: &str, action: &str, resource: &str, context: &[(&str, &str)], policies: &[&Value]) -> Request {
    Request {
        principal: format!("arn:aws:sts::222222222222:assumed-role/{role}/att_0"),
        action: action.into(),
        resource: resource.into(),
        account: resource.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or("222222222222").into(),
        context: context
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        identity: policies.iter().map(|policy| (*policy).clone()).collect(),
        trust: None,
    }
}
