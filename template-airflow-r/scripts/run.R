# Yours: no update of the template changes this file.
# The code of the pipeline. The DAG tells it what to do, with environment variables:
#
# RUN=write TEXT=... OUTPATH=s3://...   write TEXT to OUTPATH
# RUN=copy FROM=s3://... TO=s3://...    copy FROM to TO
#
# Its exit code is 0 when that is done, 1 when S3 refused or could not be reached, and 2 when a
# variable is missing or wrong.

for (file in list.files("R", pattern = "[.]R$", full.names = TRUE)) {
  source(file)
}

main(function() {
  task <- value_of("RUN")
  if (task == "write") {
    text <- value_of("TEXT")
    path <- path_of("OUTPATH")
    write_text(text, path)
  } else if (task == "copy") {
    from <- path_of("FROM")
    to <- path_of("TO")
    copy(from, to)
  } else {
    wrong_variable("RUN is ", quoted(task), ", but must be 'write' or 'copy'")
  }
})
