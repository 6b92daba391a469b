-- Adds the keys that are not there yet; those that are keep what they have. ?1: a JSON array of keys.
INSERT INTO [dsr.Crashes_$(AppId)] ([Crash-Guid])
SELECT [value] FROM json_each(?1) WHERE true
ON CONFLICT ([Crash-Guid]) DO NOTHING;
