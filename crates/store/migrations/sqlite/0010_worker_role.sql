-- What workers of an agent prove besides its voucher: the role of their tasks, as it told in the session that counts.
ALTER TABLE agent ADD COLUMN worker_role TEXT;
