//! Feeds `delta_checkpoint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waybill_pipeline::fuzz::delta_checkpoint(data));
