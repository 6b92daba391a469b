// The archive: an account of its own, that App Center exports to. The handler only reads it.
//
// App Center writes from addresses that nobody lists, and with a key where the export is a custom one: so the account
// is open to the internet, and has key access exactly in that case.

@description('Name of the account.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('How many copies there are, and where.')
param sku string

@description('Container that App Center exports to: the setting ARCHIVE_CONTAINER.')
param container string

@description('Whether App Center writes with a connection string: EXPORT_TYPE is custom.')
param keyAccess bool

@description('Log Analytics workspace of the diagnostic settings.')
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  // checkov:skip=CKV_AZURE_43: The name is made in main.bicep of lower-case letters and digits; checkov judges the expression at times, not the name.
  // checkov:skip=CKV_AZURE_35: App Center writes to it over the internet, from addresses that nobody lists.
  // checkov:skip=CKV_AZURE_59: App Center writes to it over the internet; anonymous access is off.
  // checkov:skip=CKV_AZURE_206: Personal data stays in one region; zone-redundant storage keeps three copies there.
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: keyAccess
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Enabled'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    // An erased copy must be gone. Nothing here protects against a deletion by mistake: only App Center has the key.
    deleteRetentionPolicy: {
      enabled: false
    }
    containerDeleteRetentionPolicy: {
      enabled: false
    }
    isVersioningEnabled: false
  }
}

resource archive 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobService
  name: container
  properties: {
    publicAccess: 'None'
  }
}

// Measurements only: names of attachments in the archive come from people's devices and do not belong into logs.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobService
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'Transaction'
        enabled: true
      }
    ]
  }
}
