//! Feeds `plain_log`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waybill_pipeline::fuzz::plain_log(data));
