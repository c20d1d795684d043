# The reference: recog's own matcher in process, the first match of the key's file, no output. recog_ruby.rb RECOG_RUBY_DIR RECOG_DIR
# Prints how many examples were matched, CPU time and banners a second; three passes.
ruby_dir, recog_dir = ARGV
abort 'usage: recog_ruby.rb RECOG_RUBY_DIR RECOG_DIR' unless recog_dir
$LOAD_PATH.unshift(File.join(ruby_dir, 'lib'))
require 'recog'
require 'recog/db'
inputs = Dir[File.join(recog_dir, 'xml', '*.xml')].sort.flat_map do |path|
  db = Recog::DB.new(path)
  db.fingerprints.flat_map { |fp| fp.tests.map { |t| [db, t.content] } }
end
bytes = inputs.sum { |_, text| text.bytesize }
3.times do
  start = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
  matched = inputs.count { |db, text| db.fingerprints.any? { |fp| fp.match(text) } }
  used = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - start
  puts format('recog-ruby, ruby %s: %d of %d matched, %d bytes, %.3f s CPU, %d /s', RUBY_VERSION, matched, inputs.size, bytes, used, inputs.size / used)
end
