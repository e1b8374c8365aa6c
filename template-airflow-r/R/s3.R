# Yours: no update of the template changes this file.
# S3, through the AWS command line: it finds the credentials of the pod, its region and its endpoint
# by itself, and it holds no more than a few parts of an object in memory, however large that is.
# A path is one text, "s3://bucket/key".

# Write a text to S3, byte for byte
write_text <- function(text, path) {
  file <- tempfile()
  on.exit(unlink(file))
  body <- charToRaw(text)
  writeBin(body, file)
  upload(file, path)
  paste("wrote", thousands(length(body)), "bytes to", path)
}

# Copy an object within S3: it never passes through here
copy <- function(from, to) {
  size <- object_size(from)
  # Not its tags: reading those takes a permission that a role for reading does not have
  without_tags <- c("--copy-props", "metadata-directive")
  aws(c("s3", "cp", "--only-show-errors", without_tags, from, to), "s3:PutObject", to)
  paste("copied", thousands(size), "bytes from", from, "to", to)
}

read_csv_from_s3 <- function(path) {
  file <- tempfile()
  on.exit(unlink(file))
  download(path, file)
  utils::read.csv(file, check.names = FALSE)
}

write_csv_to_s3 <- function(data, path) {
  file <- tempfile()
  on.exit(unlink(file))
  utils::write.csv(data, file, row.names = FALSE)
  upload(file, path)
}

download <- function(path, file) {
  aws(c("s3", "cp", "--only-show-errors", path, file), "s3:GetObject", path)
}

upload <- function(file, path) {
  aws(c("s3", "cp", "--only-show-errors", file, path), "s3:PutObject", path)
}

# How many bytes an object has
object_size <- function(path) {
  bucket <- sub("^s3://([^/]+)/.*", "\\1", path)
  key <- substring(path, nchar(paste0("s3://", bucket, "/")) + 1)
  object <- paste0(c("--bucket=", "--key="), c(bucket, key))
  length_only <- c("--query", "ContentLength", "--output", "text")
  as.numeric(aws(c("s3api", "head-object", object, length_only), "s3:GetObject", path))
}

# Run one command of the AWS command line, and return what it printed. Where that fails, the error
# names what was tried: the action as IAM calls it, and the path.
aws <- function(arguments, action, path) {
  if (Sys.which("aws") == "") {
    s3_failed(action, path, "the AWS command line (aws) is not installed")
  }
  done <- run_program("aws", arguments)
  if (done$status != 0) {
    s3_failed(action, path, reason(done))
  }
  trimws(done$stdout)
}

# Run a program. No shell reads the arguments: whatever is in them, they arrive as they are.
run_program <- function(program, arguments) {
  if (requireNamespace("processx", quietly = TRUE)) {
    return(processx::run(program, arguments, error_on_status = FALSE))
  }
  # Base R only has a shell, so every argument is quoted for it
  output <- tempfile(c("stdout", "stderr"))
  on.exit(unlink(output))
  status <- system2(program, shQuote(arguments), stdout = output[[1]], stderr = output[[2]])
  list(status = status, stdout = contents(output[[1]]), stderr = contents(output[[2]]))
}

contents <- function(file) paste(readLines(file, warn = FALSE), collapse = "\n")

# Why a command failed, from what it wrote: without the names of files and commands before that
reason <- function(done) {
  text <- trimws(done$stderr)
  if (text == "") {
    return(paste("the AWS command line ended with exit code", done$status, "and said nothing"))
  }
  known <- "(?s)(An error occurred|Could not connect|Unable to locate).*"
  found <- regmatches(text, regexpr(known, text, perl = TRUE))
  if (length(found) > 0) found else text
}

s3_failed <- function(action, path, reason) {
  sentence <- paste0(action, " on ", path, " failed: ", reason)
  stop(errorCondition(sentence, class = "s3_failed"))
}

# 1234567 as "1,234,567"
thousands <- function(number) {
  format(number, big.mark = ",", scientific = FALSE, trim = TRUE)
}
