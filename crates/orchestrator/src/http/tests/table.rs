//! Every role against every operation and scope, over the real router: what the page of roles says is what is answered.

use super::*;
use crate::http::operation::Operation;
use crate::http::operations;
use crate::role_table::{Cell, place_of};

/// A path with our ids in it; lists of one project are asked for the one that the person is in.
fn path_of(world: &World, who: &Person, operation: &Operation) -> String {
    let ids = world.ours.ids.iter();
    let path = ids.fold(operation.path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    match operation.id {
        "connection_list" | "pipeline_list" => format!("{path}?project={}", who.project.unwrap_or(world.ours.project)),
        _ => path,
    }
}

/// What a person gets. Bodies are broken and no version is named, so that what is let in goes no further than it must.
async fn answered(world: &World, who: &Person, operation: &Operation) -> (Cell, Got) {
    let mut request = request(operation.method.clone(), &path_of(world, who, operation), Some(&who.token), &[], None);
    if operation.request.is_some() {
        request.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/json"));
        *request.body_mut() = Body::from("{");
    }
    let got = world.send(request).await;
    let cell = match (got.status, got.code()) {
        (StatusCode::FORBIDDEN, "forbidden") => Cell::Forbidden,
        (StatusCode::NOT_FOUND, "not_found") => Cell::NotFound,
        (status, code) => {
            let odd = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR];
            assert!(!odd.contains(&status), "{}: {status} {code}", operation.id);
            Cell::Allowed
        }
    };
    (cell, got)
}

#[tokio::test]
async fn t19_every_role_gets_from_every_operation_what_the_page_of_roles_says() {
    let world = World::with_settings(&[("WAYBILL__HTTP__ORGANIZATION_QUOTA", "100000")]).await;
    let (ours, (other, _)) = (world.ours.project, world.second_project().await);
    let mut people = Vec::new();
    for organization in OrganizationRole::ALL {
        for role in [None].into_iter().chain(ProjectRole::ALL.iter().copied().map(Some)) {
            for project in [ours, other] {
                let given: Vec<_> = role.map(|role| (project, role)).into_iter().collect();
                people.push((Authority::of(*organization, &given), given));
            }
        }
    }
    let (mut cells, mut seen) = (0, std::collections::BTreeMap::new());
    let all = operations();
    for (authority, given) in &people {
        let role = authority.in_organization().expect("a role").to_string();
        let given: Vec<_> = given.iter().map(|(project, role)| (*project, role.as_str())).collect();
        let who = world.join(&role, &given).await;
        // Who ends their own session does so last.
        for last in [false, true] {
            for operation in all.list.iter().filter(|it| it.permission.is_some() && (it.id == "logout") == last) {
                let expected = Cell::of(operation, authority, place_of(operation, ours));
                let (found, got) = answered(&world, &who, operation).await;
                assert_eq!(found, expected, "{}: {role} {given:?}: {} {}", operation.id, got.status, got.body);
                *seen.entry(format!("{found:?}")).or_insert(0) += 1;
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 36 * all.list.iter().filter(|operation| operation.permission.is_some()).count());
    assert!(seen.values().all(|many| *many > 100) && seen.len() == 3, "{seen:?}");
}

#[test]
fn the_committed_page_of_roles_is_the_present_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/roles.md");
    if std::env::var_os("WAYBILL_BLESS").is_some() {
        std::fs::write(path, crate::role_table::text()).expect("write the page");
    }
    let committed = std::fs::read_to_string(path).expect("docs/reference/roles.md");
    assert!(committed == crate::role_table::text(), "run `waybill-orchestrator roles > docs/reference/roles.md`");
    let lines = committed.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(lines, operations().list.len());
    let start = "| `run_start` | `run:write` | project operator | 403 | 403 | yes | yes | yes | yes | yes | yes |";
    let pause =
        "| `pipeline_update` | `pipeline:write` | project editor | 404 | 403 | 403 | yes | yes | yes | yes | yes |";
    assert!(committed.contains(start) && committed.contains(pause), "{committed}");
}
