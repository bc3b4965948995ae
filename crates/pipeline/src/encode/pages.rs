//! Where the finished pages of a row group wait for its end: copied together into pieces, so that memory holds what they take.
//!
//! A page is compressed into a buffer as large as it was before, which is cut down afterwards. What is cut off lies between
//! pages, is too small for the next such buffer, and goes back to the system only after a while: a column that compresses
//! well takes many times its size then. Copied out, each buffer is free again as a whole.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// Makes the store of each column chunk.
#[derive(Debug)]
pub(super) struct Together {
    /// Bytes of a piece.
    piece: usize,
}

impl Together {
    /// For pages that are so large before they are compressed.
    pub(super) fn of_pages(limit: usize) -> Arc<Self> {
        Arc::new(Self { piece: (limit / 4).clamp(4 << 10, 256 << 10) })
    }
}

impl PageStoreFactory for Together {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(Pages::of(self.piece)))
    }
}

/// The pages of one column chunk. A piece goes when its last page is taken.
struct Pages {
    piece: usize,
    open: BytesMut,
    pages: Vec<Bytes>,
    /// Bytes of pages that were not taken yet.
    held: usize,
    /// Bytes of all pieces: what a piece has left when the next page does not fit goes with it.
    pieces: usize,
}

impl Pages {
    fn of(piece: usize) -> Self {
        Self { piece, open: BytesMut::new(), pages: Vec::new(), held: 0, pieces: 0 }
    }

    /// The page in memory of its own size, or in the piece that is open.
    fn kept(&mut self, page: &Bytes) -> Bytes {
        if page.len() > self.piece / 4 {
            self.pieces += page.len();
            return Bytes::copy_from_slice(page);
        }
        if self.open.capacity() < page.len() {
            self.open = BytesMut::with_capacity(self.piece);
            self.pieces += self.piece;
        }
        self.open.extend_from_slice(page);
        self.open.split().freeze()
    }
}

impl PageStore for Pages {
    fn put(&mut self, page: Bytes) -> Result<PageKey> {
        self.held += page.len();
        let kept = self.kept(&page);
        self.pages.push(kept);
        Ok(PageKey::new(self.pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let at = usize::try_from(key.get()).unwrap_or(usize::MAX);
        let page = self.pages.get_mut(at).map(std::mem::take);
        let page = page.ok_or_else(|| ParquetError::General("a page is asked for that was not put".into()))?;
        self.held -= page.len();
        if self.held == 0 {
            (self.pieces, self.open) = (0, BytesMut::new());
        }
        Ok(page)
    }

    fn memory_size(&self) -> usize {
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_as_they_were_put_and_small_ones_share_their_memory() {
        let mut pages = Pages::of(4096);
        let mut put: Vec<Bytes> = (0..100_u8).map(|n| Bytes::from(vec![n; 10 * usize::from(n)])).collect();
        put.push(Bytes::from(vec![7; 10_000]));
        let keys: Vec<PageKey> = put.iter().map(|page| pages.put(page.clone()).expect("put")).collect();
        let bytes = put.iter().map(Bytes::len).sum::<usize>();
        let told = pages.memory_size();
        assert!((bytes..bytes + bytes / 3 + 4096).contains(&told), "{told} for {bytes}");
        for (key, page) in keys.iter().zip(&put).rev() {
            assert_eq!(pages.take(*key).expect("taken"), *page);
        }
        assert!(pages.memory_size() == 0 && pages.take(PageKey::new(101)).is_err());
    }
}
