-- Signatures of the customer over plans, found by the digest of the plan that they are over.
CREATE TABLE plan_signature (
    organization_id TEXT NOT NULL REFERENCES organization (id),
    digest TEXT NOT NULL,
    signature TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, digest)
);
