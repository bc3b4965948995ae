//! The whole table: every role at every scope against every permission, as it is meant, written down by hand.

use super::*;

/// Permissions by the least role that has them; written apart from the table, so that neither moves alone.
const MEANT: &[(&str, &[&str])] = &[
    ("organization member", &["session:own", "organization:read"]),
    (
        "organization administrator",
        &[
            "user:read",
            "user:write",
            "audit:read",
            "agent:read",
            "agent:write",
            "data_plane:write",
            "data_plane:test",
            "project:create",
        ],
    ),
    ("organization owner", &[]),
    (
        "project viewer",
        &[
            "data_plane:read",
            "trail:read",
            "project:read",
            "member:read",
            "connection:read",
            "spec:validate",
            "pipeline:read",
            "plan:read",
            "run:read",
        ],
    ),
    ("project operator", &["run:write"]),
    ("project editor", &["connection:write", "connection:check", "spec:apply", "pipeline:write"]),
    ("project admin", &["project:write", "member:write", "key:read", "key:write"]),
    ("project owner", &[]),
];

/// What stands on a ladder up to a rung.
fn meant(scope: &str, rung: &str) -> Vec<&'static str> {
    let mut of_scope = MEANT.iter().filter(|(name, _)| name.starts_with(scope));
    let mut found = Vec::new();
    for (name, permissions) in of_scope.by_ref() {
        found.extend_from_slice(permissions);
        if name.ends_with(rung) {
            return found;
        }
    }
    panic!("{scope} {rung} is no rung");
}

/// What an authority may do at a place.
fn may(authority: &Authority, place: Place) -> Vec<&'static str> {
    let allowed = Permission::ALL.iter().filter(|permission| authority.decide(**permission, place).allowed);
    allowed.map(|permission| permission.as_str()).collect()
}

fn sorted(mut texts: Vec<&'static str>) -> Vec<&'static str> {
    texts.sort_unstable();
    texts
}

#[test]
fn every_role_at_every_scope_may_exactly_what_is_meant() {
    let (here, there) = (ProjectId::generate(), ProjectId::generate());
    let named: usize = MEANT.iter().map(|(_, permissions)| permissions.len()).sum();
    assert_eq!(named, Permission::ALL.len(), "a permission has no line here, or has two");
    let mut cells = 0;
    for organization in OrganizationRole::ALL {
        for project in [None].into_iter().chain(ProjectRole::ALL.iter().copied().map(Some)) {
            let given: Vec<_> = project.map(|role| (here, role)).into_iter().collect();
            let authority = Authority::of(*organization, &given);
            for (place, given) in [
                (Place::Project(here), project),
                (Place::Project(there), None),
                // What belongs to no project takes a role in any.
                (Place::Organization, project),
            ] {
                let counts = match organization {
                    OrganizationRole::Member => given,
                    OrganizationRole::Administrator => given.max(Some(ProjectRole::Admin)),
                    OrganizationRole::Owner => Some(ProjectRole::Owner),
                };
                let mut expected = meant("organization", organization.as_str());
                expected.extend(counts.map(|role| meant("project", role.as_str())).unwrap_or_default());
                assert_eq!(
                    sorted(may(&authority, place)),
                    sorted(expected),
                    "{organization} who is {project:?} here, at {place:?}"
                );
                cells += Permission::ALL.len();
            }
        }
    }
    assert_eq!(cells, 3 * 6 * 3 * 28);
}

#[test]
fn a_role_that_is_not_known_may_do_nothing() {
    let project = ProjectId::generate();
    for role in ["", "Administrator", "administrator ", "viewer", "admin", "superadmin"] {
        let found = Standing { role: role.into(), projects: vec![(project, "owner".into())] };
        let authority = Authority::from(found);
        for place in [Place::Organization, Place::Project(project)] {
            assert_eq!(may(&authority, place), [""; 0], "{role:?}");
        }
    }
    for role in ["", "Owner", "administrator", "member", "owner "] {
        let found = Standing { role: "member".into(), projects: vec![(project, role.into())] };
        assert_eq!(Authority::from(found).in_project(project), None, "{role:?}");
    }
}

#[test]
fn a_refusal_names_the_role_the_permission_and_what_it_takes() {
    let project = ProjectId::generate();
    let viewer = Authority::of(OrganizationRole::Member, &[(project, ProjectRole::Viewer)]);
    let why = |permission, place| viewer.decide(permission, place).why_not();
    assert_eq!(
        why(Permission::PipelineWrite, Place::Project(project)).as_deref(),
        Some("the role viewer lacks pipeline:write: it takes the project role editor")
    );
    assert_eq!(
        why(Permission::UserWrite, Place::Organization).as_deref(),
        Some("the role member lacks user:write: it takes the organization role administrator")
    );
    assert_eq!(
        why(Permission::RunRead, Place::Project(ProjectId::generate())).as_deref(),
        Some("no role gives run:read: it takes the project role viewer")
    );
    assert_eq!(why(Permission::RunRead, Place::Project(project)), None);
}

#[test]
fn t19_nobody_turns_a_role_that_stands_above_them_nor_into_one() {
    let all: Vec<Option<ProjectRole>> = [None].into_iter().chain(ProjectRole::ALL.iter().copied().map(Some)).collect();
    let mut allowed = 0;
    for own in &all {
        for from in &all {
            for to in &all {
                let may = may_turn(*own, *from, *to);
                assert!(!may || (own >= from && own >= to && own.is_some()), "{own:?}: {from:?} to {to:?}");
                allowed += u32::from(may);
            }
        }
    }
    // Of n roles below or equal, and none: (n + 1)² for each rung.
    assert_eq!(allowed, 4 + 9 + 16 + 25 + 36);
}

#[test]
fn t19_a_service_may_what_its_role_says_and_its_maker_may_and_nothing_elsewhere() {
    let (here, there) = (ProjectId::generate(), ProjectId::generate());
    let api = ["pipeline:read", "project:read", "run:read", "run:write"];
    let mut cells = 0;
    for organization in OrganizationRole::ALL {
        for project in [None].into_iter().chain(ProjectRole::ALL.iter().copied().map(Some)) {
            let given: Vec<_> = project.map(|role| (here, role)).into_iter().collect();
            let maker = Authority::of(*organization, &given);
            let makers = may(&maker, Place::Project(here));
            for role in ServiceRole::ALL {
                let service = Authority::of_service(*role, here, &maker);
                let of_role = match role {
                    ServiceRole::Api => api.to_vec(),
                    role => meant("project", role.as_str()),
                };
                let both: Vec<_> = of_role.into_iter().filter(|permission| makers.contains(permission)).collect();
                assert_eq!(
                    sorted(may(&service, Place::Project(here))),
                    sorted(both.clone()),
                    "{role} of {organization} {project:?}"
                );
                assert_eq!(sorted(may(&service, Place::Organization)), sorted(both), "what belongs to no project");
                assert_eq!(may(&service, Place::Project(there)), [""; 0], "{role} elsewhere");
                assert_eq!((service.in_organization(), service.everywhere()), (None, None));
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 3 * 6 * 4);
    let owner = Authority::of(OrganizationRole::Owner, &[]);
    let refused =
        Authority::of_service(ServiceRole::Api, here, &owner).decide(Permission::SpecApply, Place::Project(here));
    let why = "the role api lacks spec:apply: it takes the project role editor";
    assert_eq!(refused.why_not().as_deref(), Some(why));
}
