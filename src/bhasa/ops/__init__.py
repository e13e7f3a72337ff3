"""Operations with several implementations: a public function each, a reference, faster implementations."""
