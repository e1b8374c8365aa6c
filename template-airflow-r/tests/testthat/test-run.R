# Yours: no update of the template changes this file.
# Tests of scripts/run.R and the functions it calls

write <- c(RUN = "write", TEXT = "hello", OUTPATH = "s3://my-bucket/folder/hello.txt")
copy_ <- c(RUN = "copy", FROM = "s3://my-bucket/from.txt", TO = "s3://my-bucket/folder/to.txt")

changed <- function(variables, ...) replace(variables, names(c(...)), c(...))

test_that("write puts the text in S3", {
  s3 <- local_s3()
  ran <- run_script("scripts/run.R", write)
  expect_equal(ran$out, "wrote 5 bytes to s3://my-bucket/folder/hello.txt")
  expect_equal(ran$err, character())
  expect_equal(ran$code, 0)
  expect_equal(readChar(file.path(s3, "my-bucket/folder/hello.txt"), 100), "hello")
})

test_that("copy makes the same object", {
  s3 <- local_s3()
  writeLines("hello", file.path(s3, "my-bucket/from.txt"))
  ran <- run_script("scripts/run.R", copy_)
  expect_equal(
    ran$out,
    "copied 6 bytes from s3://my-bucket/from.txt to s3://my-bucket/folder/to.txt"
  )
  expect_equal(ran$code, 0)
  expect_equal(readLines(file.path(s3, "my-bucket/folder/to.txt")), "hello")
})

test_that("every character arrives, whatever a shell would make of it", {
  s3 <- local_s3()
  text <- "\u00a35 \u2013 na\u00efve\n\"$(touch oops)\" 'quotes' \\ \U1F600"
  key <- "a folder/it's $(here) \"\u00e9\".txt"
  write_text(text, paste0("s3://my-bucket/", key))
  written <- file.path(s3, "my-bucket", key)
  expect_equal(readBin(written, "raw", 1000), charToRaw(text))
})

test_that("a variable that is missing or wrong is named", {
  wrong <- list(
    list(character(), "the environment variable RUN is missing or empty"),
    list(c(RUN = "delete"), "RUN is 'delete', but must be 'write' or 'copy'"),
    list(changed(write, TEXT = ""), "the environment variable TEXT is missing or empty"),
    list(changed(copy_, FROM = ""), "the environment variable FROM is missing or empty"),
    list(changed(copy_, TO = "s3://b/"), "TO is 's3://b/', but must be a file in S3")
  )
  for (case in wrong) {
    ran <- run_script("scripts/run.R", case[[1]])
    expect_equal(ran$code, 2)
    expect_equal(ran$out, character())
    expect_match(ran$err, paste0("^error: ", case[[2]]))
  }
})

test_that("what S3 refuses is named", {
  local_s3()
  ran <- run_script("scripts/run.R", copy_)
  expect_equal(ran$code, 1)
  expect_match(ran$err, "^error: s3:GetObject on s3://my-bucket/from.txt failed: An error occurred")
  ran <- run_script("scripts/run.R", changed(write, OUTPATH = "s3://no-bucket/a"))
  expect_equal(ran$code, 1)
  expect_match(ran$err, "^error: s3:PutObject on s3://no-bucket/a failed: An error occurred")
})

test_that("numbers are easy to read", {
  expect_equal(thousands(0), "0")
  expect_equal(thousands(1234567), "1,234,567")
  expect_equal(thousands(5e12), "5,000,000,000,000")
})
