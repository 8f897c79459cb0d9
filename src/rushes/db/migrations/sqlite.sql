CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE accounts (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, disabled_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE api_keys (
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	hint TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, scopes TEXT DEFAULT 'read generate' NOT NULL, disabled_at BIGINT, bootstrap INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	UNIQUE (hash)
);
CREATE TABLE jobs (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	status TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	served_provider TEXT NOT NULL, 
	served_model TEXT NOT NULL, 
	request TEXT NOT NULL, 
	response_format TEXT NOT NULL, 
	cost_usd TEXT, 
	usual_s FLOAT NOT NULL, 
	warnings TEXT NOT NULL, 
	lane TEXT NOT NULL, 
	in_slot INTEGER DEFAULT '0' NOT NULL, 
	available_at BIGINT NOT NULL, 
	deadline_at BIGINT NOT NULL, 
	lease TEXT, 
	worker_id TEXT, 
	progress INTEGER, 
	provider_video_id TEXT, 
	error_code TEXT, 
	error TEXT, 
	provider_error TEXT, 
	outputs TEXT, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	completed_at BIGINT, 
	cancelled_at BIGINT, files_expire_at BIGINT, files_removed_at BIGINT, surface TEXT, credential TEXT, byok INTEGER DEFAULT '0' NOT NULL, fallbacks TEXT, asked_model TEXT, source_job_id TEXT, listener TEXT, abort_requested_at BIGINT, reserved_microusd BIGINT DEFAULT '0' NOT NULL, spent_microusd BIGINT, request_id TEXT, traceparent TEXT, turn BIGINT DEFAULT '0' NOT NULL, held INTEGER DEFAULT '0' NOT NULL, trouble_code TEXT, trouble TEXT, trouble_at BIGINT, user_tag TEXT, metadata TEXT, tenant TEXT DEFAULT '' NOT NULL, retention_ms BIGINT, credential_name TEXT, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
CREATE INDEX jobs_by_account ON jobs (account_id, seq);
CREATE INDEX jobs_leased ON jobs (worker_id) WHERE worker_id IS NOT NULL;
CREATE TABLE attempts (
	id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	part INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	handle TEXT, 
	outputs TEXT, 
	error_code TEXT, 
	error TEXT, 
	provider_error TEXT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (job_id, part), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE job_events (
	seq INTEGER NOT NULL, 
	job_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	cause TEXT NOT NULL, unannounced INTEGER, 
	PRIMARY KEY (seq)
);
CREATE INDEX job_events_by_job ON job_events (job_id, seq);
CREATE TABLE job_counts (
	account_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	jobs BIGINT NOT NULL, 
	PRIMARY KEY (account_id, status)
);
CREATE TABLE lanes (
	lane TEXT NOT NULL, 
	capacity INTEGER, 
	ready BIGINT NOT NULL, 
	in_use BIGINT NOT NULL, turn BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (lane)
);
CREATE TABLE workers (
	id TEXT NOT NULL, 
	alive_until BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE inputs (
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	sha256 TEXT, 
	size_bytes BIGINT DEFAULT '0' NOT NULL, 
	content_type TEXT, 
	width INTEGER, 
	height INTEGER, 
	duration_s FLOAT, 
	created_at BIGINT NOT NULL, 
	keep_until BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (account_id, sha256), 
	UNIQUE ("key")
);
CREATE INDEX inputs_by_keep_until ON inputs (keep_until);
CREATE TABLE job_inputs (
	job_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	PRIMARY KEY (job_id, "key")
);
CREATE INDEX job_inputs_by_key ON job_inputs ("key");
CREATE TABLE input_totals (
	account_id TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	PRIMARY KEY (account_id)
);
CREATE INDEX jobs_files_due ON jobs (files_expire_at) WHERE files_expire_at IS NOT NULL AND files_removed_at IS NULL;
CREATE TABLE doomed_files (
	"key" TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE usage_rollups (
	account_id TEXT NOT NULL, 
	day INTEGER NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	jobs BIGINT NOT NULL, 
	completed BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	unpriced BIGINT NOT NULL, 
	cost_microusd BIGINT NOT NULL, 
	PRIMARY KEY (account_id, day, provider, model)
);
CREATE TABLE idempotency (
	account_id TEXT NOT NULL, 
	route TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	body_hash TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (account_id, route, "key")
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX jobs_unowned ON jobs (seq) WHERE lease IS NULL AND state IN ('submitting', 'running', 'storing', 'recovering');
CREATE TABLE byok_secrets (
	job_id TEXT NOT NULL, 
	sealed TEXT NOT NULL, 
	PRIMARY KEY (job_id)
);
CREATE INDEX jobs_overdue ON jobs (deadline_at) WHERE state IN ('queued', 'rerouted') AND lease IS NULL;
CREATE INDEX job_events_unannounced ON job_events (seq) WHERE unannounced = 1;
CREATE TABLE webhook_endpoints (
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	url TEXT NOT NULL, 
	events TEXT, 
	description TEXT, 
	enabled INTEGER NOT NULL, 
	disabled_reason TEXT, 
	sealed TEXT NOT NULL, 
	old_sealed TEXT, 
	old_until BIGINT, 
	consecutive_failures INTEGER DEFAULT '0' NOT NULL, 
	last_error TEXT, 
	last_error_at BIGINT, 
	created_at BIGINT NOT NULL, tenant TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE webhook_secrets (
	account_id TEXT NOT NULL, 
	sealed TEXT NOT NULL, 
	old_sealed TEXT, 
	old_until BIGINT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (account_id)
);
CREATE TABLE webhook_deliveries (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	endpoint_id TEXT, 
	sealed_url TEXT, 
	shown_url TEXT NOT NULL, 
	lane TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	event_at BIGINT NOT NULL, 
	snapshot TEXT, 
	state TEXT NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	next_attempt_at BIGINT NOT NULL, 
	lease TEXT, 
	last_attempt_at BIGINT, 
	last_status INTEGER, 
	last_error TEXT, 
	last_duration_ms INTEGER, 
	created_at BIGINT NOT NULL, 
	settled_at BIGINT, tenant TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (lane, next_attempt_at, seq) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (lease) WHERE lease IS NOT NULL;
CREATE INDEX webhook_deliveries_pending_job ON webhook_deliveries (job_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, seq);
CREATE INDEX webhook_deliveries_by_endpoint_state ON webhook_deliveries (endpoint_id, state, seq);
CREATE TABLE webhook_lanes (
	lane TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	next_at BIGINT NOT NULL, 
	PRIMARY KEY (lane)
);
CREATE INDEX webhook_lanes_due ON webhook_lanes (next_at);
CREATE INDEX jobs_aborting ON jobs (worker_id) WHERE abort_requested_at IS NOT NULL AND lease IS NOT NULL;
CREATE TABLE limits (
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (account_id, key_id, name)
);
CREATE TABLE ledger (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	reserved_microusd BIGINT NOT NULL, 
	spent_microusd BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	cause TEXT NOT NULL, 
	total_reserved_microusd BIGINT NOT NULL, 
	total_spent_microusd BIGINT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
CREATE INDEX ledger_by_account ON ledger (account_id, seq);
CREATE INDEX ledger_by_account_kind ON ledger (account_id, kind, seq);
CREATE INDEX ledger_by_account_time ON ledger (account_id, at);
CREATE INDEX ledger_by_account_job ON ledger (account_id, job_id, seq);
CREATE TABLE balances (
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	period TEXT NOT NULL, 
	reserved_microusd BIGINT NOT NULL, 
	spent_microusd BIGINT NOT NULL, 
	PRIMARY KEY (account_id, key_id, period)
);
CREATE TABLE unsettled_jobs (
	job_id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	reserved_microusd BIGINT NOT NULL, 
	spent_microusd BIGINT NOT NULL, 
	since BIGINT NOT NULL, 
	cause TEXT NOT NULL, 
	PRIMARY KEY (job_id)
);
CREATE INDEX accounts_by_time ON accounts (created_at, id);
CREATE INDEX api_keys_by_account ON api_keys (account_id, created_at, id);
CREATE INDEX limits_by_name ON limits (name);
CREATE TABLE rate_windows (
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	taken BIGINT NOT NULL, 
	PRIMARY KEY (account_id, key_id)
);
CREATE INDEX jobs_pending_by_key ON jobs (key_id) WHERE status = 'pending';
CREATE INDEX jobs_in_flight ON jobs (account_id, key_id) WHERE in_slot = 1 AND byok = 0;
CREATE INDEX attempts_unsettled ON attempts (job_id) WHERE state = 'failed' AND error_code IN ('submission_unknown', 'output_lost');
CREATE TABLE gates (
	name TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE INDEX jobs_ready ON jobs (lane, turn, seq, account_id, key_id, byok, state, lease, held) WHERE state IN ('queued', 'rerouted') AND lease IS NULL AND held = 0;
CREATE INDEX jobs_held ON jobs (available_at) WHERE state IN ('queued', 'rerouted') AND lease IS NULL AND held = 1;
CREATE INDEX jobs_by_turn ON jobs (lane, account_id, turn, available_at, state, lease) WHERE state IN ('queued', 'rerouted') AND lease IS NULL;
CREATE TABLE schema_floor (
	version TEXT NOT NULL, 
	PRIMARY KEY (version)
);
CREATE TABLE marks (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE INDEX unsettled_jobs_by_time ON unsettled_jobs (accepted_at, job_id);
CREATE TABLE console_sessions (
	hash TEXT NOT NULL, 
	key_id TEXT, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE INDEX console_sessions_by_expiry ON console_sessions (expires_at);
CREATE TABLE sign_in_links (
	hash TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE INDEX sign_in_links_by_expiry ON sign_in_links (expires_at);
CREATE TABLE user_usage_rollups (
	account_id TEXT NOT NULL, 
	day BIGINT NOT NULL, 
	user_tag TEXT NOT NULL, 
	jobs BIGINT NOT NULL, 
	completed BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	unpriced BIGINT NOT NULL, 
	cost_microusd BIGINT NOT NULL, 
	PRIMARY KEY (account_id, day, user_tag)
);
CREATE TABLE deleted_jobs (
	id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	deleted_at BIGINT NOT NULL, tenant TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX deleted_jobs_by_time ON deleted_jobs (deleted_at);
CREATE INDEX jobs_by_tenant ON jobs (tenant, seq);
CREATE INDEX jobs_by_tenant_status ON jobs (tenant, status, seq);
CREATE INDEX jobs_by_tenant_model ON jobs (tenant, model, seq);
CREATE INDEX jobs_by_tenant_provider ON jobs (tenant, provider, seq);
CREATE INDEX jobs_by_tenant_time ON jobs (tenant, created_at);
CREATE INDEX jobs_by_tenant_user ON jobs (tenant, user_tag, seq) WHERE user_tag IS NOT NULL;
CREATE INDEX jobs_of_test_keys ON jobs (seq) WHERE tenant <> account_id;
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant, created_at, id);
CREATE INDEX webhook_endpoints_in_use ON webhook_endpoints (tenant) WHERE enabled = 1;
CREATE INDEX webhook_deliveries_by_tenant ON webhook_deliveries (tenant, seq);
CREATE INDEX webhook_deliveries_by_tenant_state ON webhook_deliveries (tenant, state, seq);
CREATE TABLE used_upload_links (
	id TEXT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX used_upload_links_by_time ON used_upload_links (expires_at);
CREATE TABLE account_settings (
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (account_id, key_id, name)
);
CREATE TABLE audit_log (
	seq BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	action TEXT NOT NULL, 
	actor_kind TEXT NOT NULL, 
	actor_id TEXT NOT NULL, 
	actor_name TEXT, 
	actor_account_id TEXT, 
	account_id TEXT, 
	subject_id TEXT NOT NULL, 
	before_json TEXT, 
	after_json TEXT, 
	request_id TEXT, 
	address TEXT, 
	is_test INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE INDEX audit_log_by_account ON audit_log (account_id, seq);
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, seq);
CREATE INDEX audit_log_by_subject ON audit_log (subject_id, seq);
CREATE INDEX audit_log_by_time ON audit_log (at, seq);
CREATE TABLE audit_head (
	name TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE guardrail_answers (
	account_id TEXT NOT NULL, 
	route TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	body_hash TEXT NOT NULL, 
	action TEXT, 
	reason TEXT, 
	prompt TEXT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (account_id, route, "key")
);
CREATE INDEX guardrail_answers_by_time ON guardrail_answers (created_at);
CREATE TABLE guardrail_records (
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	account_id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	request_id TEXT, 
	job_id TEXT, 
	action TEXT NOT NULL, 
	reason TEXT, 
	model TEXT NOT NULL, 
	user_tag TEXT, 
	prompt TEXT, 
	PRIMARY KEY (id)
);
CREATE INDEX guardrail_records_by_time ON guardrail_records (created_at, id);
CREATE INDEX guardrail_records_by_account ON guardrail_records (account_id, created_at, id);
CREATE INDEX guardrail_records_by_job ON guardrail_records (job_id);
CREATE TABLE guardrail_counts (
	account_id TEXT NOT NULL, 
	day BIGINT NOT NULL, 
	blocked BIGINT NOT NULL, 
	rewritten BIGINT NOT NULL, 
	PRIMARY KEY (account_id, day)
);
CREATE TABLE people (
	issuer TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	signed_in_at BIGINT NOT NULL, 
	PRIMARY KEY (issuer, subject)
);
CREATE INDEX people_by_key ON people (key_id);
CREATE TABLE user_windows (
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	minute BIGINT NOT NULL, 
	user_hash TEXT NOT NULL, 
	taken BIGINT NOT NULL, 
	PRIMARY KEY (account_id, key_id, minute, user_hash)
);
CREATE TABLE user_balances (
	account_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	day BIGINT NOT NULL, 
	user_tag TEXT NOT NULL, 
	reserved_microusd BIGINT NOT NULL, 
	spent_microusd BIGINT NOT NULL, 
	PRIMARY KEY (account_id, key_id, day, user_tag)
);
CREATE INDEX user_balances_by_day ON user_balances (day);
CREATE TABLE user_tag_counts (
	account_id TEXT NOT NULL, 
	day BIGINT NOT NULL, 
	tags BIGINT NOT NULL, 
	PRIMARY KEY (account_id, day)
);
CREATE INDEX jobs_by_credential ON jobs (served_provider, credential_name, state, id) WHERE in_slot = 1 AND credential_name IS NOT NULL;
CREATE TABLE credential_limits (
	provider TEXT NOT NULL, 
	credential TEXT NOT NULL, 
	next_at BIGINT NOT NULL, 
	PRIMARY KEY (provider, credential)
);
CREATE TABLE credential_usage_rollups (
	day BIGINT NOT NULL, 
	provider TEXT NOT NULL, 
	credential TEXT NOT NULL, 
	completed BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	unpriced BIGINT NOT NULL, 
	cost_microusd BIGINT NOT NULL, 
	PRIMARY KEY (day, provider, credential)
);
CREATE INDEX console_sessions_by_key ON console_sessions (key_id, created_at);
INSERT INTO schema_floor (version) VALUES ('0020');
INSERT INTO alembic_version (version_num) VALUES ('0028');
