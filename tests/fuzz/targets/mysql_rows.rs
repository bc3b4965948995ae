//! Feeds `mysql_rows`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waybill_connectors::fuzz::mysql_rows(data));
